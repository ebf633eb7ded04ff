//! Whatever is done to a file: every line before the damage is read as it stands, and nothing panics. What no reader can
//! see, a file that was cut behind a line, lowers no day.

use proptest::prelude::*;

use super::aws_tests::{OURS, TITLE, aws};
use super::compare_tests::{account, bill, day, has};
use super::*;
use crate::{Account, Amount};

type Read = Vec<Result<BillLine, BillDamage>>;

/// Reads bytes that need not be text.
fn aws_bytes(bytes: &[u8]) -> Read {
    Aws::new(bytes, ProviderName::parse("aws").unwrap(), Seen::default()).collect()
}

fn of_cloudkitty(bytes: &[u8]) -> Read {
    let provider = ProviderName::parse("openstack").unwrap();
    let mut pages = Pages::default();
    let rated = Rated { provider, currency: Currency::GBP, space: None };
    let mut lines: Read = cloudkitty(bytes, &rated, &mut pages).collect();
    if lines.iter().all(Result::is_ok) {
        lines.extend(pages.missing().map(Err));
    }
    lines
}

fn google(bytes: &[u8]) -> Read {
    Google::new(bytes, ProviderName::parse("gcp").unwrap()).collect()
}

/// A whole file of some lines, one for each hour from the 10th on, and where each line is complete.
type File = (Vec<u8>, Vec<usize>);

/// From when to when a line is, with what stands behind it.
fn hour(number: usize, end: &str) -> (String, String) {
    let text =
        |number: usize| format!("2026-11-{:02}T{:02}:00:00{end}", 10 + number / 24, number % 24);
    (text(number), text(number + 1))
}

fn csv_file(costs: &[u32]) -> File {
    let mut text = TITLE.to_owned();
    let mut ends = Vec::new();
    for (number, cost) in costs.iter().enumerate() {
        let (from, to) = hour(number, ".000Z");
        text.push_str(&format!(
            "1111,id{number},{from}/{to},GBP,Usage,AmazonEC2,\"i-ü\n{number}\",0.{cost:010},{to},{from},\
             EUW2-BoxUsage:m5.xlarge,eu-west-2,0,,0,0,{OURS},,0,0,0\n"
        ));
        ends.push(text.len());
    }
    (text.into_bytes(), ends)
}

fn json_lines_file(costs: &[u32]) -> File {
    let mut text = String::new();
    let mut ends = Vec::new();
    for (number, cost) in costs.iter().enumerate() {
        let (from, to) = hour(number, "Z");
        text.push_str(&format!(
            "{{\"billing_account_id\":\"01-02\",\"service\":{{\"id\":\"6F81\",\"description\":\"Compute Engine\"}},\
             \"sku\":{{\"id\":\"x\",\"description\":\"E2 Instance Core running in London\"}},\
             \"usage_start_time\":\"{from}\",\"usage_end_time\":\"{to}\",\
             \"project\":{{\"id\":\"ska-vms\",\"labels\":[]}},\
             \"labels\":[{{\"key\":\"vcycle_space\",\"value\":\"ska_daws\"}},{{\"key\":\"vcycle_machinetype\",\"value\":\"dune\"}}],\
             \"system_labels\":[],\"location\":{{\"location\":\"europe-west2\",\"zone\":\"europe-west2-a\"}},\
             \"resource\":{{\"name\":\"ü{number}\"}},\"cost\":0.{cost:010},\"currency\":\"GBP\",\
             \"credits\":[{{\"name\":\"SUD\",\"amount\":-0.0,\"type\":\"SUSTAINED_USAGE_DISCOUNT\"}}],\"cost_type\":\"regular\"}}\n"
        ));
        ends.push(text.len());
    }
    (text.into_bytes(), ends)
}

fn cloudkitty_file(costs: &[u32]) -> File {
    let total = costs.len();
    let mut text = format!(
        "{{\"total\": {total}, \"columns\": [\"begin\", \"end\", \"qty\", \"rate\", \"type\"],\n\"results\": ["
    );
    let mut ends = Vec::new();
    for (number, cost) in costs.iter().enumerate() {
        let comma = if number == 0 { "" } else { "," };
        let (from, to) = hour(number, "+00:00");
        text.push_str(&format!(
            "{comma}\n[\"{from}\", \"{to}\", 1.0, 0.{cost:010}, \"ü{number}\"]"
        ));
        ends.push(text.len());
    }
    text.push_str("], \"format\": \"table\"}\n");
    (text.into_bytes(), ends)
}

/// What is done to a file.
#[derive(Debug, Clone)]
enum Harm {
    Cut(u16),
    Put(u16, Vec<u8>),
    Insert(u16, Vec<u8>),
    Delete(u16, u16),
    Twice(u16, u16),
}

fn harm() -> impl Strategy<Value = Harm> {
    let bytes = || prop::collection::vec(any::<u8>(), 1..40);
    // Bytes that stand in bills do more than others.
    let likely = || {
        prop::collection::vec(prop::sample::select(b"\",\n\r{}[]:0123456789-eZ \\".to_vec()), 1..12)
    };
    prop_oneof![
        any::<u16>().prop_map(Harm::Cut),
        (any::<u16>(), prop_oneof![bytes(), likely()]).prop_map(|(at, put)| Harm::Put(at, put)),
        (any::<u16>(), prop_oneof![bytes(), likely()]).prop_map(|(at, put)| Harm::Insert(at, put)),
        (any::<u16>(), 1_u16..400).prop_map(|(at, size)| Harm::Delete(at, size)),
        (any::<u16>(), 1_u16..400).prop_map(|(at, size)| Harm::Twice(at, size)),
    ]
}

/// The file after it, and the first place that is not as it was.
fn harmed(bytes: &[u8], harm: &Harm) -> (Vec<u8>, usize) {
    let place = |at: u16| usize::from(at) % bytes.len();
    let range = |at: u16, size: u16| place(at)..(place(at) + usize::from(size)).min(bytes.len());
    let mut after = bytes.to_vec();
    let at = match harm {
        Harm::Cut(at) => {
            after.truncate(place(*at));
            place(*at)
        }
        Harm::Put(at, put) => {
            let end = (place(*at) + put.len()).min(bytes.len());
            after.splice(place(*at)..end, put.iter().copied());
            place(*at)
        }
        Harm::Insert(at, put) => {
            after.splice(place(*at)..place(*at), put.iter().copied());
            place(*at)
        }
        Harm::Delete(at, size) => {
            after.drain(range(*at, *size));
            place(*at)
        }
        Harm::Twice(at, size) => {
            let again = bytes[range(*at, *size)].to_vec();
            let end = range(*at, *size).end;
            after.splice(end..end, again);
            end
        }
    };
    (after, at)
}

fn check(read: fn(&[u8]) -> Read, (bytes, ends): &File, harm: &Harm) -> Read {
    let whole = read(bytes);
    assert!(whole.iter().all(Result::is_ok) && whole.len() == ends.len(), "{whole:?}");
    let (after, at) = harmed(bytes, harm);
    let part = read(&after);
    // A line is complete with its end, which for JSON is the bracket.
    let before = ends.iter().filter(|end| **end <= at).count();
    assert_eq!(part[..before], whole[..before], "nothing before {at} is lost");
    let damages = part.iter().filter(|line| line.is_err()).count();
    assert!(damages == 0 || damages == 1 && part[part.len() - 1].is_err());
    let is_cut_within = matches!(harm, Harm::Cut(_))
        && bytes[..at].contains(&b'\n')
        && bytes[at - 1] != b'\n'
        && bytes[at] != b'\n'
        && !ends.contains(&at);
    assert!(!is_cut_within || damages == 1, "the cut at {at} is noticed");
    part
}

proptest! {
    #[test]
    fn a_csv_export_gives_what_stands_before_its_damage(
        costs in prop::collection::vec(0_u32..4_000_000_000, 1..8), harm in harm(),
    ) {
        check(aws_bytes, &csv_file(&costs), &harm);
    }

    #[test]
    fn an_export_of_lines_of_json_gives_what_stands_before_its_damage(
        costs in prop::collection::vec(0_u32..4_000_000_000, 1..8), harm in harm(),
    ) {
        check(google, &json_lines_file(&costs), &harm);
    }

    /// It tells how many rows it has: one that is lost, or is there twice, is noticed wherever it stood.
    #[test]
    fn a_summary_gives_what_stands_before_its_damage_and_notices_every_row_that_is_lost(
        costs in prop::collection::vec(0_u32..4_000_000_000, 1..8), harm in harm(),
    ) {
        let file = cloudkitty_file(&costs);
        let read = check(of_cloudkitty, &file, &harm);
        let changed_total = harmed(&file.0, &harm).0.starts_with(&file.0[..12]);
        prop_assert!(
            !changed_total || read.iter().any(Result::is_err) || read.len() == costs.len(),
            "{:?}", read
        );
    }

    #[test]
    fn any_bytes_are_read_or_refused(bytes: Vec<u8>) {
        for read in [aws_bytes, google, of_cloudkitty] {
            let lines = read(&bytes);
            prop_assert!(lines.iter().rev().skip(1).all(Result::is_ok));
        }
    }

    /// The ledger has more than the bill for each hour: a correction would make room.
    #[test]
    fn a_file_that_was_cut_behind_a_line_lowers_no_day_in_part(kept in 1_usize..120) {
        for (read, file) in [(aws_bytes as fn(&[u8]) -> Read, csv_file as fn(&[u32]) -> File), (google, json_lines_file)] {
            let (bytes, ends) = file(&[1_000_000_000; 120]);
            let lines: Vec<BillLine> =
                read(&bytes[..ends[kept - 1]]).into_iter().map(Result::unwrap).collect();
            prop_assert_eq!(lines.len(), kept);
            let provider = lines[0].provider.clone();
            let of = Account { provider, space: "ska.aws".parse().unwrap(), ..account("a", "dune") };
            let ledger: Vec<LedgerLine> =
                (8..18).map(|on| LedgerLine { account: of.clone(), ..has(on, "a", "dune", "3") }).collect();
            let terms = Terms { complete_before: day(20), whole: WholeDays::Shown, accounts: &[], caps: &[], communities: &[] };
            let compared = bill(lines).compare(&ledger, &terms);
            let booked: Vec<(Day, Amount)> =
                compared.corrections.iter().map(|it| (it.day, it.amount)).collect();
            let whole = u8::try_from(kept / 24).unwrap();
            let expected: Vec<(Day, Amount)> =
                (10..10 + whole).map(|on| (day(on), "-0.6".parse().unwrap())).collect();
            prop_assert_eq!(booked, expected);
        }
    }
}

#[test]
fn the_fixtures_are_of_our_machines() {
    let (csv, _) = csv_file(&[7]);
    let lines = aws(std::str::from_utf8(&csv).unwrap());
    assert!(
        matches!(&lines[0].as_ref().unwrap().whose, Whose::Ours(ours) if ours.space.as_str() == "ska.aws")
    );
    let (json, _) = json_lines_file(&[7]);
    assert!(
        matches!(&google(&json)[0].as_ref().unwrap().whose, Whose::Ours(ours) if ours.space.as_str() == "ska.aws")
    );
}
