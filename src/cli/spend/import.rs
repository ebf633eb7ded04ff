//! `vcycle spend import`: a bill against the ledger; with `--book` the ledger is corrected by it.

use std::collections::BTreeMap;
use std::fs::File;
use std::io::{BufRead, BufReader};
use std::path::{Path, PathBuf};

use vcycle_money::bills::{
    Aws, Bill, BillDamage, BillLine, Comparison, Correction, Day, Exchange, Google, NoRate, Pages,
    Rated, Terms, WholeDays, cloudkitty, ledger_lines,
};
use vcycle_money::{Author, Book, Currency, Event, ProviderName};

use super::super::confirm::{Consent, YesFlag, ask};
use super::super::drain::who;
use super::super::error::CliError;
use super::super::output::{Screen, json, print};
use super::args::{BillFormat, ImportArgs};
use super::imported::{Damaged, Imported};
use super::parts::left_out;
use super::reading::Reading;
use crate::model::Timestamp;

/// Carries the command out.
pub(super) async fn run(config: &Path, args: &ImportArgs) -> Result<(), CliError> {
    let reading = Reading::open(config, args.state.state_dir.as_deref()).await?;
    let currency = currency(&reading, args)?;
    let (bill, damage) = read(&reading, currency, args)?;
    let whole = if args.whole_days { WholeDays::Said } else { WholeDays::Shown };
    let compared = Compared { bill, now: reading.now, complete_after: args.complete_after, whole };
    let comparison = compared.with(&reading.book);
    let corrections = comparison.corrections.clone();
    let mut imported = Imported::new(&reading, currency, (&compared.bill, damage), comparison);
    imported.left_out = left_out(&args.files, Path::exists);
    if args.book && imported.damage.is_none() && !corrections.is_empty() {
        must_be_all(&imported.left_out, whole)?;
        reading.must_be_whole("nothing is booked")?;
        reading.must_be_in_use().await?;
        let yes = if args.yes { YesFlag::Given } else { YesFlag::NotGiven };
        let consent = ask(&imported.agreement(), yes)?;
        imported.booked = Some(corrections.len());
        let source = source(&compared.bill, args);
        book(&reading, &compared, (corrections, currency, &source), &consent).await?;
    }
    show(&imported, args)
}

/// A file that was left out may be of any day.
fn must_be_all(left_out: &[PathBuf], whole: WholeDays) -> Result<(), CliError> {
    match (left_out.first(), whole) {
        (Some(path), WholeDays::Shown) => Err(CliError::Usage(format!(
            "{} belongs to the same export by its number, and nothing is booked without it: give all files of an export at \
             once, or say --whole-days if these are whole",
            path.display()
        ))),
        (Some(_), WholeDays::Said) | (None, _) => Ok(()),
    }
}

fn show(imported: &Imported, args: &ImportArgs) -> Result<(), CliError> {
    let text =
        if args.state.read.json { json(imported)? } else { imported.text(Screen::of_stdout()) };
    print(&text)?;
    // What was read is shown; but nobody may take it for the whole.
    imported.damage.as_ref().map_or(Ok(()), |damaged| Err(damaged.failure()))
}

/// The currency of the ledger. What stands in it cannot be said otherwise: its amounts are of that.
fn currency(reading: &Reading, args: &ImportArgs) -> Result<Currency, CliError> {
    match (reading.currency, args.currency) {
        (Some(known), Some(said)) if known != said => Err(CliError::Usage(format!(
            "the ledger is in {known}, not in {said}: leave --currency out; what a unit on the bill is worth in {known} is \
             said with --rate"
        ))),
        (Some(currency), _) | (None, Some(currency)) => Ok(currency),
        (None, None) => Err(CliError::Usage(
            "the currency of the ledger is not known, since neither it nor a configuration with [spending] says one: give \
             --currency"
                .to_owned(),
        )),
    }
}

/// What the files do not say themselves.
enum Source {
    Aws,
    Google,
    Cloudkitty(Rated, Pages),
}

impl Source {
    fn of(args: &ImportArgs) -> Result<Self, CliError> {
        match (args.format, args.bill_currency) {
            (BillFormat::Aws, None) => Ok(Self::Aws),
            (BillFormat::Google, None) => Ok(Self::Google),
            (BillFormat::Cloudkitty, Some(currency)) => {
                let rated =
                    Rated { provider: provider("openstack"), currency, space: args.space.clone() };
                Ok(Self::Cloudkitty(rated, Pages::default()))
            }
            (BillFormat::Cloudkitty, None) => Err(CliError::Usage(
                "the answers of CloudKitty have no currency: say in which it rates, for example --bill-currency EUR"
                    .to_owned(),
            )),
            (BillFormat::Aws | BillFormat::Google, Some(_)) => Err(CliError::Usage(
                "the bill says itself in which currency it is: leave --bill-currency out".to_owned(),
            )),
        }
    }

    fn lines(&mut self, input: Box<dyn BufRead>) -> Lines {
        match self {
            Self::Aws => Box::new(Aws::new(input, provider("aws"))),
            Self::Google => Box::new(Google::new(input, provider("gcp"))),
            Self::Cloudkitty(rated, pages) => Box::new(cloudkitty(input, rated, pages)),
        }
    }

    /// What is missing when there are no more files.
    fn missing(self) -> Option<BillDamage> {
        match self {
            Self::Aws | Self::Google => None,
            Self::Cloudkitty(_, pages) => pages.missing(),
        }
    }
}

fn provider(name: &str) -> ProviderName {
    ProviderName::parse(name).expect("a name of ours is valid")
}

/// All files, up to the first damage.
fn read(
    reading: &Reading,
    currency: Currency,
    args: &ImportArgs,
) -> Result<(Bill, Option<Damaged>), CliError> {
    let rates: BTreeMap<_, _> = args.rate.iter().map(|rate| (rate.currency, rate.worth)).collect();
    let dated = reading.rates.as_deref().cloned();
    let mut bill = Bill::new(Exchange { currency, rates, dated }, reading.deployment.clone());
    let mut source = Source::of(args)?;
    for path in &args.files {
        let lines = source.lines(open(path)?);
        if let Some(damage) = add(&mut bill, lines)? {
            return Ok((bill, Some(Damaged::new(path, damage))));
        }
    }
    let missing = args.files.last().zip(source.missing());
    Ok((bill, missing.map(|(path, damage)| Damaged::new(path, damage))))
}

type Lines = Box<dyn Iterator<Item = Result<BillLine, BillDamage>>>;

fn open(path: &Path) -> Result<Box<dyn BufRead>, CliError> {
    if path == Path::new("-") {
        return Ok(Box::new(std::io::stdin().lock()));
    }
    let file = File::open(path)
        .map_err(|error| CliError::failed(format!("cannot read {}", path.display()), &error))?;
    Ok(Box::new(BufReader::with_capacity(1 << 20, file)))
}

fn add(bill: &mut Bill, lines: Lines) -> Result<Option<BillDamage>, CliError> {
    for line in lines {
        match line {
            Ok(line) => bill.add(line).map_err(|error| no_rate(&error))?,
            Err(damage) => return Ok(Some(damage)),
        }
    }
    Ok(None)
}

fn no_rate(NoRate { from, to, why }: &NoRate) -> CliError {
    let why = why.as_ref().map_or(String::new(), |why| format!(" ({why})"));
    CliError::Usage(format!(
        "the bill is in {from} and the ledger in {to}{why}: give the worth of a unit, for example --rate {from}=0.79 (of the \
         day on which the bill is paid)"
    ))
}

/// A bill that can be compared with any book.
struct Compared {
    bill: Bill,
    now: Timestamp,
    complete_after: u16,
    whole: WholeDays,
}

impl Compared {
    fn with(&self, book: &Book) -> Comparison {
        let days = self.bill.days();
        let ledger = days.map_or_else(Vec::new, |days| ledger_lines(book, days, self.now));
        let complete_before = Day::of(self.now).before(self.complete_after);
        let (whole, accounts) = (self.whole, book.accounts());
        self.bill.compare(&ledger, &Terms { complete_before, whole, accounts, caps: book.caps() })
    }
}

/// Which bill, for whoever reads the ledger.
fn source(bill: &Bill, args: &ImportArgs) -> String {
    let name = |path: &std::path::PathBuf| {
        path.file_name().unwrap_or(path.as_os_str()).to_string_lossy().into_owned()
    };
    let names: Vec<String> = args.files.iter().map(name).collect();
    let providers: Vec<&str> = bill.providers().map(ProviderName::as_str).collect();
    format!("{} bill: {}", providers.join(", "), names.join(", "))
}

/// Entries are read by everybody: none grows without bounds.
const MOST_CORRECTIONS: usize = 500;

/// Appends the corrections in the name of the person who typed, as they were agreed to: if the ledger says something else
/// meanwhile, they are not written. What a failure leaves out is found again by the same command.
async fn book(
    reading: &Reading,
    compared: &Compared,
    (corrections, currency, source): (Vec<Correction>, Currency, &str),
    _consent: &Consent,
) -> Result<(), CliError> {
    let author = Author::Person { who: who() };
    let mut rest = corrections;
    while !rest.is_empty() {
        let count = whole_days(&rest);
        let mut is_as_agreed = true;
        let decide = |book: &Book| {
            is_as_agreed = book.currency().is_none_or(|known| known == currency)
                && compared.with(book).corrections == rest;
            if !is_as_agreed {
                return Vec::new();
            }
            // A ledger that nobody has spent from yet has none.
            let unsaid = book.currency().is_none().then_some(Event::CurrencySet { currency });
            let now = rest[..count].iter().map(|correction| correction.event(source));
            unsaid.into_iter().chain(now).collect()
        };
        let written = reading.ledger.write_as(&author, decide).await;
        written.map_err(|error| CliError::failed("the corrections cannot be booked", &error))?;
        if !is_as_agreed {
            return Err(CliError::Failed(
                "the ledger has changed meanwhile, so that other corrections follow: look at them and type it again"
                    .to_owned(),
            ));
        }
        rest.drain(..count);
    }
    Ok(())
}

/// How many of the first corrections go into one entry. A day stays together: what is left of a difference that is booked
/// in part would be divided otherwise.
fn whole_days(corrections: &[Correction]) -> usize {
    let end = corrections.len();
    if end <= MOST_CORRECTIONS {
        return end;
    }
    let is_begin = |at: &usize| corrections[*at - 1].day != corrections[*at].day;
    let before = (1..=MOST_CORRECTIONS).rev().find(is_begin);
    before.or_else(|| (MOST_CORRECTIONS..end).find(is_begin)).unwrap_or(end)
}

#[cfg(test)]
mod tests {
    use vcycle_money::{Account, Amount};

    use super::*;
    use crate::model::{MachinetypeName, Market, SpaceName};

    fn corrections(on_days: &[usize]) -> Vec<Correction> {
        let account = Account {
            provider: ProviderName::parse("aws").unwrap(),
            space: SpaceName::parse("a").unwrap(),
            machinetype: MachinetypeName::parse("m").unwrap(),
            community: None,
            market: Market::OnDemand,
        };
        let today: Day = "2026-11-21".parse().unwrap();
        let on = |(number, count): (usize, &usize)| {
            let day = today.before(100 - u16::try_from(number).unwrap());
            let correction =
                Correction { day, account: account.clone(), amount: Amount::from_units(1) };
            std::iter::repeat_n(correction, *count)
        };
        on_days.iter().enumerate().flat_map(on).collect()
    }

    #[test]
    fn an_entry_holds_whole_days() {
        assert_eq!(whole_days(&corrections(&[500])), 500);
        assert_eq!(whole_days(&corrections(&[300, 200, 1])), 500);
        assert_eq!(whole_days(&corrections(&[300, 201])), 300);
        assert_eq!(whole_days(&corrections(&[700, 3])), 700, "one day cannot be parted");
        assert_eq!(whole_days(&corrections(&[700])), 700);
    }
}
