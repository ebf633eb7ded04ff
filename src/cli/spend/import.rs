//! `vcycle spend import`: a bill against the ledger; with `--book` the ledger is corrected by it.

use std::collections::BTreeMap;
use std::fs::File;
use std::io::{BufRead, BufReader};
use std::path::Path;

use vcycle_money::bills::{
    Aws, Bill, BillDamage, BillLine, Comparison, Correction, Day, Exchange, Google, Rated, Terms,
    cloudkitty, ledger_lines,
};
use vcycle_money::{Author, Book, Currency, ProviderName};

use super::super::confirm::{Consent, YesFlag, ask};
use super::super::drain::who;
use super::super::error::CliError;
use super::super::output::{Screen, json, print};
use super::args::{BillFormat, ImportArgs};
use super::imported::{Damaged, Imported};
use super::reading::Reading;
use crate::model::Timestamp;

/// Carries the command out.
pub(super) async fn run(config: &Path, args: &ImportArgs) -> Result<(), CliError> {
    let reading = Reading::open(config, args.state.state_dir.as_deref()).await?;
    let currency = currency(&reading, args)?;
    let (bill, damage) = read(&reading, currency, args)?;
    let compared = Compared { bill, now: reading.now, complete_after: args.complete_after };
    let comparison = compared.with(&reading.book);
    let corrections = comparison.corrections.clone();
    let mut imported = Imported::new(&reading, currency, (&compared.bill, damage), comparison);
    if args.book && imported.damage.is_none() && !corrections.is_empty() {
        reading.must_be_whole("nothing is booked")?;
        reading.must_be_in_use().await?;
        let yes = if args.yes { YesFlag::Given } else { YesFlag::NotGiven };
        let consent = ask(&imported.agreement(), yes)?;
        imported.booked = Some(corrections.len());
        book(&reading, &compared, (corrections, &source(&compared.bill, args)), &consent).await?;
    }
    show(&imported, args)
}

fn show(imported: &Imported, args: &ImportArgs) -> Result<(), CliError> {
    let text =
        if args.state.read.json { json(imported)? } else { imported.text(Screen::of_stdout()) };
    print(&text)?;
    // What was read is shown; but nobody may take it for the whole.
    imported.damage.as_ref().map_or(Ok(()), |damaged| Err(damaged.failure()))
}

fn currency(reading: &Reading, args: &ImportArgs) -> Result<Currency, CliError> {
    args.currency.or(reading.currency).ok_or_else(|| {
        CliError::Usage(
            "the currency of the ledger is not known, since no configuration with [spending] was read: give --currency"
                .to_owned(),
        )
    })
}

/// All files, up to the first damage.
fn read(
    reading: &Reading,
    currency: Currency,
    args: &ImportArgs,
) -> Result<(Bill, Option<Damaged>), CliError> {
    let rates: BTreeMap<_, _> = args.rate.iter().map(|rate| (rate.currency, rate.worth)).collect();
    let mut bill = Bill::new(Exchange { currency, rates }, reading.deployment.clone());
    for path in &args.files {
        let lines = lines(open(path)?, args, currency);
        if let Some(damage) = add(&mut bill, lines)? {
            return Ok((bill, Some(Damaged::new(path, damage))));
        }
    }
    Ok((bill, None))
}

type Lines = Box<dyn Iterator<Item = Result<BillLine, BillDamage>>>;

fn lines(input: Box<dyn BufRead>, args: &ImportArgs, currency: Currency) -> Lines {
    let provider = |name: &str| ProviderName::parse(name).expect("a name of ours is valid");
    match args.format {
        BillFormat::Aws => Box::new(Aws::new(input, provider("aws"))),
        BillFormat::Google => Box::new(Google::new(input, provider("gcp"))),
        BillFormat::Cloudkitty => {
            let space = args.space.clone();
            let rated = Rated { provider: provider("openstack"), currency, space };
            Box::new(cloudkitty(input, &rated))
        }
    }
}

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
            Ok(line) => bill.add(line).map_err(|error| {
                let (from, to) = (error.from, error.to);
                let how = format!(
                    "give it, for example --rate {from}=0.79 (of the day on which the bill is paid)"
                );
                CliError::Usage(format!("the bill is in {from} and the ledger in {to}: {how}"))
            })?,
            Err(damage) => return Ok(Some(damage)),
        }
    }
    Ok(None)
}

/// A bill that can be compared with any book.
struct Compared {
    bill: Bill,
    now: Timestamp,
    complete_after: u16,
}

impl Compared {
    fn with(&self, book: &Book) -> Comparison {
        let days = self.bill.days();
        let ledger = days.map_or_else(Vec::new, |days| ledger_lines(book, days, self.now));
        let complete_before = Day::of(self.now).before(self.complete_after);
        self.bill.compare(&ledger, &Terms { complete_before, accounts: book.accounts() })
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
    (corrections, source): (Vec<Correction>, &str),
    _consent: &Consent,
) -> Result<(), CliError> {
    let author = Author::Person { who: who() };
    let mut rest = corrections;
    while !rest.is_empty() {
        let count = whole_days(&rest);
        let mut is_as_agreed = true;
        let decide = |book: &Book| {
            is_as_agreed = compared.with(book).corrections == rest;
            let now = if is_as_agreed { &rest[..count] } else { &[] };
            now.iter().map(|correction| correction.event(source)).collect()
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
