//! `vcycle spend import`: a bill against the ledger; with `--book` the ledger is corrected by it.

use std::collections::BTreeMap;
use std::io::BufRead;
use std::path::{Path, PathBuf};

use vcycle_money::bills::{
    Aws, Bill, BillDamage, BillLine, Comparison, Correction, Day, Doubt, Exchange, Google, NoRate,
    Pages, Rated, Seen, Terms, WholeDays, cloudkitty, ledger_lines,
};
use vcycle_money::{Author, Book, Currency, Event, ProviderName};

use super::super::confirm::{Consent, YesFlag, ask};
use super::super::drain::who;
use super::super::error::CliError;
use super::super::output::{Screen, json, print};
use super::args::{BillFormat, ImportArgs};
use super::bill_files::{BillFile, Given, must_be_named_once, open};
use super::configured::Configured;
use super::imported::{Damaged, Imported, at_rates};
use super::parts::left_out;
use super::reading::Reading;
use crate::model::{SpaceName, Timestamp};

/// Carries the command out.
pub(super) async fn run(config: &Path, args: &ImportArgs) -> Result<(), CliError> {
    let reading = Reading::open(config, args.state.state_dir.as_deref()).await?;
    let currency = currency(&reading, args)?;
    must_be_named_once(&args.files)?;
    let (bill, damage) = read(&reading, currency, args)?;
    must_have_come(&bill, reading.now)?;
    let whole = if args.whole_days { WholeDays::Said } else { WholeDays::Shown };
    let (now, complete_after) = (reading.now, args.complete_after);
    let configured = Configured::read(config, args);
    let compared = Compared { bill, now, complete_after, whole, configured };
    let comparison = compared.with(&reading.book);
    let corrections = comparison.corrections.clone();
    let mut imported = Imported::new(&reading, currency, (&compared.bill, damage), comparison);
    imported.left_out = left_out(&args.files, Path::exists);
    imported.unknown_spaces = compared.unknown_spaces(&reading.book);
    imported.is_configured = compared.configured.spaces.is_some();
    if args.book && imported.damage.is_none() && !corrections.is_empty() {
        must_be_all(&imported.left_out, whole)?;
        must_be_near_the_known(&compared.bill, currency)?;
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

/// Pence taken for pounds would be a hundred times what is owed, or room for it.
fn must_be_near_the_known(bill: &Bill, to: Currency) -> Result<(), CliError> {
    for (from, used) in bill.rates() {
        if let (Some(known), Some(Doubt::Absurd)) = (used.known, used.doubt()) {
            return Err(CliError::Usage(format!(
                "--rate {from}={used} cannot be right, and nothing is booked: by the rates of [spending] a {from} is {known} {to} \
                 about then; say what one {from} is in {to}, such as {from}={known}, or, if it is right, write it there with its day \
                 and leave --rate out"
            )));
        }
    }
    Ok(())
}

/// A day ahead may be a clock further east.
fn must_have_come(bill: &Bill, now: Timestamp) -> Result<(), CliError> {
    let today = Day::of(now);
    let tomorrow = today.next().unwrap_or(today);
    match bill.days() {
        Some((_, last)) if last > tomorrow => Err(CliError::Usage(format!(
            "the bill has lines of {last}, which has not come yet (today is {today}, UTC): is it a bill, and is the clock of \
             this host right?"
        ))),
        Some(_) | None => Ok(()),
    }
}

fn show(imported: &Imported, args: &ImportArgs) -> Result<(), CliError> {
    let is_json = args.state.read.json;
    let text = if is_json { json(imported)? } else { imported.text(Screen::of_stdout()) };
    // There is nothing to sum up of what is no bill at all.
    if is_json || imported.damage.is_none() || imported.lines > 0 {
        print(&text)?;
    }
    // What was read is shown; but nobody may take it for the whole.
    imported.damage.as_ref().map_or(Ok(()), |damaged| Err(damaged.failure(imported.lines)))
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
    Aws(Seen),
    Google,
    Cloudkitty(Rated, Pages),
}

impl Source {
    fn of(args: &ImportArgs) -> Result<Self, CliError> {
        match (args.format, args.bill_currency) {
            (BillFormat::Aws, None) => Ok(Self::Aws(Seen::default())),
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
            Self::Aws(seen) => Box::new(Aws::new(input, provider("aws"), seen.clone())),
            Self::Google => Box::new(Google::new(input, provider("gcp"))),
            Self::Cloudkitty(rated, pages) => Box::new(cloudkitty(input, rated, pages)),
        }
    }

    /// What is missing when there are no more files.
    fn missing(self) -> Option<BillDamage> {
        match self {
            Self::Aws(_) | Self::Google => None,
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
    let mut given = Given::default();
    for path in &args.files {
        let BillFile { input, content } = open(path)?;
        let before = bill.lines();
        let damage = add(&mut bill, source.lines(input))?;
        given.must_be_new(path, &content)?;
        if let Some(damage) = damage {
            return Ok((bill, Some(Damaged::new(path, damage))));
        }
        if bill.lines() > before {
            given.add(path, &content);
        }
    }
    let missing = args.files.last().zip(source.missing());
    Ok((bill, missing.map(|(path, damage)| Damaged::new(path, damage))))
}

type Lines = Box<dyn Iterator<Item = Result<BillLine, BillDamage>>>;

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
    configured: Configured,
}

impl Compared {
    fn with(&self, book: &Book) -> Comparison {
        let days = self.bill.days();
        let ledger = days.map_or_else(Vec::new, |days| ledger_lines(book, days, self.now));
        let complete_before = Day::of(self.now).before(self.complete_after);
        let terms = Terms {
            complete_before,
            whole: self.whole,
            accounts: book.accounts(),
            caps: book.caps(),
            communities: &self.configured.communities,
        };
        self.bill.compare(&ledger, &terms)
    }

    /// Spaces that the bill says are ours, and that neither the configuration nor the ledger has.
    fn unknown_spaces(&self, book: &Book) -> Vec<SpaceName> {
        let is_configured = |space: &SpaceName| {
            self.configured.spaces.as_ref().is_some_and(|known| known.contains(space))
        };
        let has = |space: &SpaceName| book.accounts().iter().any(|account| account.space == *space);
        let named = self.bill.spaces().into_iter();
        named.filter(|space| !is_configured(space) && !has(space)).cloned().collect()
    }
}

/// Which bill, for whoever reads the ledger.
fn source(bill: &Bill, args: &ImportArgs) -> String {
    let name = |path: &std::path::PathBuf| {
        path.file_name().unwrap_or(path.as_os_str()).to_string_lossy().into_owned()
    };
    let names: Vec<String> = args.files.iter().map(name).collect();
    let providers: Vec<&str> = bill.providers().map(ProviderName::as_str).collect();
    format!("{} bill: {}{}", providers.join(", "), names.join(", "), at_rates(bill.rates()))
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
    use crate::model::{MachinetypeName, Market};

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
