//! The picture: above, what was spent and the line that leads to the budget; below, the rate of each community, one on
//! another, and the target. Pure: text in, text out.

use std::fmt::Write;

use vcycle_money::plan::Rate;
use vcycle_money::simulate::{Outcome, Sample};

use super::report::day;
use super::scale::{Scale, days, round_numbers};

const WIDTH: f64 = 1000.0;
const HEIGHT: f64 = 680.0;
const LEFT: f64 = 80.0;
const RIGHT: f64 = 820.0;
/// Top and bottom of the upper and of the lower panel.
const MONEY: (f64, f64) = (70.0, 340.0);
const RATE: (f64, f64) = (400.0, 630.0);
/// Colours that people with any sight tell apart (Okabe and Ito, Color Universal Design, 2008); after them it begins anew.
const COLOURS: [&str; 7] =
    ["#0072b2", "#e69f00", "#009e73", "#cc79a7", "#56b4e9", "#d55e00", "#f0e442"];
/// Of backfill: behind the others.
const GREY: &str = "#bbbbbb";
const INK: &str = "#222222";

/// The picture of a result.
pub(super) fn svg(name: &str, outcome: &Outcome) -> String {
    let mut out = String::new();
    let title = format!("{name}: spending from {} to {}", day(outcome.from), day(outcome.to));
    element(
        &mut out,
        format_args!(
            r#"<svg xmlns="http://www.w3.org/2000/svg" viewBox="0 0 {WIDTH} {HEIGHT}" width="{WIDTH}" height="{HEIGHT}" font-family="sans-serif" font-size="13" fill="{INK}" role="img">"#
        ),
    );
    element(&mut out, format_args!("<title>{}</title>", escaped(&title)));
    element(&mut out, format_args!(r#"<rect width="{WIDTH}" height="{HEIGHT}" fill="white"/>"#));
    words(&mut out, (LEFT, 30.0), r#"font-size="19" font-weight="bold""#, &title);
    let spent = format!(
        "{:.0} of {:.0} {} spent: {}.{} %",
        outcome.spent,
        outcome.amount,
        outcome.currency,
        outcome.landing_permille / 10,
        outcome.landing_permille % 10,
    );
    words(&mut out, (LEFT, 52.0), "", &spent);
    let time = Scale::new((secs(outcome.from), secs(outcome.to)), (LEFT, RIGHT));
    draw_money(&mut out, outcome, time);
    draw_rates(&mut out, outcome, time);
    out.push_str("</svg>\n");
    out
}

fn draw_money(out: &mut String, outcome: &Outcome, time: Scale) {
    let most = units(outcome.amount).max(units(outcome.spent));
    let scale = grid(out, outcome, (time, MONEY), (most, "spent"));
    let (left, right) = (time.place(secs(outcome.from)), time.place(secs(outcome.stop)));
    let budget = scale.place(units(outcome.amount));
    let line = scale.place(units(outcome.spendable));
    let dashed = r##"stroke="#d55e00" stroke-width="2" stroke-dasharray="8 4""##;
    path(out, dashed, &[(LEFT, budget), (RIGHT, budget)]);
    let thin = r##"stroke="#666666" stroke-width="1.5" stroke-dasharray="2 3""##;
    path(out, thin, &[(left, scale.place(0.0)), (right, line)]);
    let mut points: Vec<(f64, f64)> = outcome
        .samples
        .iter()
        .map(|sample| (time.place(secs(sample.at)), scale.place(units(sample.spent))))
        .collect();
    points.push((RIGHT, scale.place(units(outcome.spent))));
    path(out, r##"stroke="#0072b2" stroke-width="2.5""##, &points);
    let legend = [
        ("budget", dashed),
        ("line to land on", thin),
        ("spent", r##"stroke="#0072b2" stroke-width="2.5""##),
    ];
    for (row, (name, style)) in (0_u8..).zip(legend) {
        let y = MONEY.0 + 10.0 + 22.0 * f64::from(row);
        path(out, style, &[(RIGHT + 20.0, y), (RIGHT + 50.0, y)]);
        words(out, (RIGHT + 58.0, y + 4.0), "", name);
    }
}

fn draw_rates(out: &mut String, outcome: &Outcome, time: Scale) {
    let all = |sample: &Sample| units(sample.rates.iter().copied().sum::<Rate>().in_an_hour());
    let highest = outcome.samples.iter().map(|it| all(it).max(units(it.target.in_an_hour())));
    let scale = grid(out, outcome, (time, RATE), (highest.fold(0.0, f64::max), "rate"));
    // From the backfill below to the first priority above: what changes most is on top.
    let mut below = vec![0.0; outcome.samples.len()];
    let mut layers = Vec::new();
    for index in (0..outcome.communities.len()).rev() {
        let mut upper = Vec::new();
        let mut lower = Vec::new();
        for (sample, base) in outcome.samples.iter().zip(&mut below) {
            let x = time.place(secs(sample.at));
            lower.push((x, scale.place(*base)));
            *base += sample.rates.get(index).map_or(0.0, |rate| units(rate.in_an_hour()));
            upper.push((x, scale.place(*base)));
        }
        upper.extend(lower.into_iter().rev());
        layers.push((colour(outcome, index), upper));
    }
    for (colour, points) in layers {
        element(
            out,
            format_args!(r#"<path d="{}Z" fill="{colour}" fill-opacity="0.85"/>"#, trace(&points)),
        );
    }
    let target: Vec<(f64, f64)> = outcome
        .samples
        .iter()
        .filter(|sample| sample.at < outcome.stop)
        .map(|it| (time.place(secs(it.at)), scale.place(units(it.target.in_an_hour()))))
        .collect();
    let style = r#"stroke="black" stroke-width="1.5""#;
    path(out, style, &target);
    let mut y = RATE.0 + 10.0;
    path(out, style, &[(RIGHT + 20.0, y), (RIGHT + 50.0, y)]);
    words(out, (RIGHT + 58.0, y + 4.0), "", "target rate");
    for (index, own) in outcome.communities.iter().enumerate() {
        y += 22.0;
        element(
            out,
            format_args!(
                r#"<rect x="{}" y="{}" width="30" height="12" fill="{}" fill-opacity="0.85"/>"#,
                RIGHT + 20.0,
                y - 6.0,
                colour(outcome, index),
            ),
        );
        words(out, (RIGHT + 58.0, y + 4.0), "", own.community.as_str());
    }
}

fn colour(outcome: &Outcome, index: usize) -> &'static str {
    let is_last = index + 1 == outcome.communities.len();
    let role = outcome.communities[index].role;
    let is_backfill = role == vcycle_money::plan::Role::Backfill;
    if is_backfill && is_last { GREY } else { COLOURS[index % COLOURS.len()] }
}

/// Frame, lines and numbers of a panel.
fn grid(
    out: &mut String,
    outcome: &Outcome,
    (time, (top, bottom)): (Scale, (f64, f64)),
    (most, what): (f64, &str),
) -> Scale {
    let numbers = round_numbers(most, 5);
    let highest = numbers.last().copied().unwrap_or(1.0);
    let scale = Scale::new((0.0, highest), (bottom, top));
    for number in &numbers {
        let y = scale.place(*number);
        path(out, r##"stroke="#dddddd""##, &[(LEFT, y), (RIGHT, y)]);
        words(out, (LEFT - 8.0, y + 4.0), r#"text-anchor="end""#, &thousands(*number));
    }
    let unit = match what {
        "rate" => format!("{} per hour", outcome.currency),
        _ => outcome.currency.to_string(),
    };
    words(out, (8.0, top - 12.0), "", &unit);
    for (at, name) in days(outcome.from, outcome.to) {
        let x = time.place(secs(at));
        path(out, r##"stroke="#dddddd""##, &[(x, top), (x, bottom)]);
        words(out, (x, bottom + 18.0), r#"text-anchor="middle""#, &name);
    }
    path(out, r#"stroke="black""#, &[(LEFT, top), (LEFT, bottom), (RIGHT, bottom)]);
    scale
}

fn path(out: &mut String, style: &str, points: &[(f64, f64)]) {
    element(out, format_args!(r#"<path d="{}" fill="none" {style}/>"#, trace(points)));
}

fn trace(points: &[(f64, f64)]) -> String {
    let mut text = String::new();
    for (number, (x, y)) in points.iter().enumerate() {
        let letter = if number == 0 { 'M' } else { 'L' };
        write!(text, "{letter}{x:.1} {y:.1}").expect("a text takes every write");
    }
    text
}

fn words(out: &mut String, (x, y): (f64, f64), style: &str, text: &str) {
    let text = escaped(text);
    element(out, format_args!(r#"<text x="{x:.1}" y="{y:.1}" {style}>{text}</text>"#));
}

fn element(out: &mut String, text: std::fmt::Arguments<'_>) {
    writeln!(out, "{text}").expect("a text takes every write");
}

fn escaped(text: &str) -> String {
    text.replace('&', "&amp;").replace('<', "&lt;").replace('>', "&gt;")
}

/// `50,000`; with decimals where it has some.
fn thousands(number: f64) -> String {
    let decimals = if number.fract().abs() < 1e-9 { 0 } else { 2 };
    let text = format!("{number:.decimals$}");
    let (whole, rest) = text.split_at(text.find('.').unwrap_or(text.len()));
    let mut grouped = String::new();
    for (place, digit) in whole.chars().enumerate() {
        if place > 0 && (whole.len() - place).is_multiple_of(3) {
            grouped.push(',');
        }
        grouped.push(digit);
    }
    grouped + rest
}

fn secs(at: crate::model::Timestamp) -> f64 {
    at.as_secs() as f64
}

fn units(amount: vcycle_money::Amount) -> f64 {
    amount.nanos() as f64 / 1e9
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn names_cannot_break_the_picture_and_numbers_are_read_easily() {
        assert_eq!(escaped("<b>&"), "&lt;b&gt;&amp;");
        assert_eq!(
            [0.0, 500.0, 50_000.0, 1_234_567.0].map(thousands),
            ["0", "500", "50,000", "1,234,567"]
        );
        assert_eq!(thousands(0.25), "0.25");
    }
}
