//! Whatever is done to a file: every line before the damage is read as it stands, and nothing panics.

use proptest::prelude::*;

use super::*;

type Read = Vec<Result<BillLine, BillDamage>>;

fn aws(bytes: &[u8]) -> Read {
    Aws::new(bytes, ProviderName::parse("aws").unwrap()).collect()
}

fn of_cloudkitty(bytes: &[u8]) -> Read {
    let provider = ProviderName::parse("openstack").unwrap();
    cloudkitty(bytes, &Rated { provider, currency: Currency::GBP, space: None }).collect()
}

fn google(bytes: &[u8]) -> Read {
    Google::new(bytes, ProviderName::parse("gcp").unwrap()).collect()
}

/// A whole file of some lines, and where each line is complete.
type File = (Vec<u8>, Vec<usize>);

fn csv_file(costs: &[u32]) -> File {
    let mut text = String::from(
        "line_item_usage_start_date,line_item_unblended_cost,line_item_currency_code,line_item_resource_id,resource_tags\n",
    );
    let mut ends = Vec::new();
    for (number, cost) in costs.iter().enumerate() {
        let tags = "\"{\"\"user_vcycle_space\"\":\"\"a\"\"}\"";
        text.push_str(&format!("2026-11-20T00:00:00Z,0.{cost:010},USD,\"ü\n{number}\",{tags}\n"));
        ends.push(text.len());
    }
    (text.into_bytes(), ends)
}

fn json_lines_file(costs: &[u32]) -> File {
    let mut text = String::new();
    let mut ends = Vec::new();
    for (number, cost) in costs.iter().enumerate() {
        text.push_str(&format!(
            "{{\"usage_start_time\": \"2026-11-20 00:00:00 UTC\", \"cost\": 0.{cost:010}, \"currency\": \"GBP\", \
             \"resource\": {{\"name\": \"ü{number}\"}}, \"labels\": [{{\"key\": \"vcycle_space\", \"value\": \"a_db\"}}]}}\n"
        ));
        ends.push(text.len());
    }
    (text.into_bytes(), ends)
}

fn cloudkitty_file(costs: &[u32]) -> File {
    let mut text =
        String::from("{\"columns\": [\"begin\", \"end\", \"rate\", \"type\"],\n\"results\": [");
    let mut ends = Vec::new();
    for (number, cost) in costs.iter().enumerate() {
        let comma = if number == 0 { "" } else { "," };
        text.push_str(&format!(
            "{comma}\n[\"2026-11-20T00:00:00\", \"2026-11-21T00:00:00\", 0.{cost:010}, \"ü{number}\"]"
        ));
        ends.push(text.len());
    }
    text.push_str(&format!("], \"total\": {}}}\n", costs.len()));
    (text.into_bytes(), ends)
}

fn check(read: fn(&[u8]) -> Read, (bytes, ends): &File, cut: usize, flip: (usize, u8)) {
    let whole = read(bytes);
    assert!(whole.iter().all(Result::is_ok) && whole.len() == ends.len(), "{whole:?}");

    let cut = cut % bytes.len();
    let part = read(&bytes[..cut]);
    let complete = ends.iter().filter(|end| **end <= cut).count();
    assert_eq!(part[..complete], whole[..complete], "nothing before the cut is lost");
    // Cut right behind a line it is a shorter file, and no reader can know; JSON needs no line end for that.
    let is_whole = ends.contains(&cut) || bytes[cut] == b'\n' && ends.contains(&(cut + 1));
    let is_begun = bytes[..cut].contains(&b'\n') && bytes[cut - 1] != b'\n';
    if is_begun && !is_whole && cut + 1 < bytes.len() {
        assert!(part.last().is_some_and(Result::is_err), "the cut at {cut} is noticed");
    }

    let mut changed = bytes.clone();
    let at = flip.0 % bytes.len();
    changed[at] = flip.1;
    let changed = read(&changed);
    let before = ends.iter().filter(|end| **end <= at).count();
    assert_eq!(changed[..before], whole[..before], "nothing before the change is lost");
    let damages = changed.iter().filter(|line| line.is_err()).count();
    assert!(damages == 0 || damages == 1 && changed[changed.len() - 1].is_err());
}

proptest! {
    #[test]
    fn a_csv_export_gives_what_stands_before_its_damage(
        costs in prop::collection::vec(0_u32..4_000_000_000, 1..8), cut: u16, at: u16, byte: u8,
    ) {
        check(aws, &csv_file(&costs), cut.into(), (at.into(), byte));
    }

    #[test]
    fn an_export_of_lines_of_json_gives_what_stands_before_its_damage(
        costs in prop::collection::vec(0_u32..4_000_000_000, 1..8), cut: u16, at: u16, byte: u8,
    ) {
        check(google, &json_lines_file(&costs), cut.into(), (at.into(), byte));
    }

    #[test]
    fn a_summary_gives_what_stands_before_its_damage(
        costs in prop::collection::vec(0_u32..4_000_000_000, 1..8), cut: u16, at: u16, byte: u8,
    ) {
        check(of_cloudkitty, &cloudkitty_file(&costs), cut.into(), (at.into(), byte));
    }

    #[test]
    fn any_bytes_are_read_or_refused(bytes: Vec<u8>) {
        for read in [aws, google, of_cloudkitty] {
            let lines = read(&bytes);
            prop_assert!(lines.iter().rev().skip(1).all(Result::is_ok));
        }
    }
}
