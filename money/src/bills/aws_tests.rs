//! Exports of AWS as they are: by hours and days, with reserved instances and savings plans.

use super::*;

/// The columns of Data Exports that are of use, among some that are not, in their order.
pub(super) const TITLE: &str = "\
bill_payer_account_id,identity_line_item_id,identity_time_interval,line_item_currency_code,line_item_line_item_type,\
line_item_product_code,line_item_resource_id,line_item_unblended_cost,line_item_usage_end_date,\
line_item_usage_start_date,line_item_usage_type,product_region_code,reservation_effective_cost,\
reservation_reservation_a_r_n,reservation_unused_amortized_upfront_fee_for_billing_period,\
reservation_unused_recurring_fee,resource_tags,savings_plan_savings_plan_a_r_n,\
savings_plan_savings_plan_effective_cost,savings_plan_total_commitment_to_date,savings_plan_used_commitment\n";

/// The tags of a machine, as the map stands in CSV.
pub(super) const OURS: &str = "\"{\"\"user_vcycle_space\"\":\"\"ska.aws\"\",\"\"user_vcycle_machinetype\"\":\"\"dune\"\",\
\"\"user_vcycle_machine\"\":\"\"vcycle-dune-abcdefghij\"\",\"\"aws_created_by\"\":\"\"Root\"\"}\"";

pub(super) fn aws(text: &str) -> Vec<Result<BillLine, BillDamage>> {
    Aws::new(text.as_bytes(), ProviderName::parse("aws").unwrap(), Seen::default()).collect()
}

/// A whole export by hours, of one machine on each sort of terms, and what belongs to it.
fn export() -> String {
    let hour = "2026-11-20T14:00:00.000Z,2026-11-20T13:00:00.000Z";
    let month = "2026-12-01T00:00:00.000Z,2026-11-01T00:00:00.000Z";
    let id = "111122223333,qv2x,2026-11-20T13:00:00Z/2026-11-20T14:00:00Z,USD";
    let ri = "arn:aws:ec2:eu-west-2:111122223333:reserved-instances/r1";
    let sp = "arn:aws:savingsplans::111122223333:savingsplan/s1";
    let ec2 = "AmazonEC2";
    [
        TITLE.to_owned(),
        format!("{id},Usage,{ec2},i-01,0.0823000000,{hour},EUW2-SpotUsage:m5.xlarge,eu-west-2,0,,0,0,{OURS},,0,0,0\n"),
        format!("{id},DiscountedUsage,{ec2},i-02,0.0000000000,{hour},EUW2-BoxUsage:m5.xlarge,eu-west-2,0.1370000000,{ri},0,0,{OURS},,0,0,0\n"),
        format!("{id},SavingsPlanCoveredUsage,{ec2},i-03,0.2220000000,{hour},EUW2-BoxUsage:m5.xlarge,eu-west-2,0,,0,0,{OURS},{sp},0.1490000000,0,0\n"),
        format!("{id},SavingsPlanNegation,{ec2},i-03,-0.2220000000,{hour},EUW2-BoxUsage:m5.xlarge,eu-west-2,0,,0,0,{OURS},{sp},0,0,0\n"),
        format!("{id},RIFee,{ec2},,98.64,{month},EUW2-HeavyUsage:m5.xlarge,eu-west-2,0,{ri},1.25,2.5,{{}},,0,0,0\n"),
        format!("{id},SavingsPlanRecurringFee,ComputeSavingsPlans,,0.2,{hour},ComputeSP:1yrNoUpfront,,0,,0,0,{{}},{sp},0,0.2,0.149\n"),
        format!("{id},SavingsPlanUpfrontFee,ComputeSavingsPlans,,500,{month},ComputeSP:1yrAllUpfront,,0,,0,0,{{}},{sp},0,0,0\n"),
        format!("{id},Fee,{ec2},,700,{month},HeavyUsage:m5.xlarge,,0,{ri},0,0,{{}},,0,0,0\n"),
        format!("{id},Usage,AmazonS3,arn:aws:s3:::bucket,2.5E-7,{hour},TimedStorage-ByteHrs,eu-west-2,,,,,{{}},,,,\n"),
        format!("{id},Tax,{ec2},,12.34,{month},,,,,,,,,,,\n"),
        format!("{id},Credit,{ec2},,-100,{month},,,,,,,,,,,\n"),
    ]
    .concat()
}

/// As of a part of an export that is also within a file put together from all parts.
#[test]
fn a_line_of_ours_that_is_there_twice_is_refused() {
    let text = export();
    let lines: Vec<&str> = text.split_inclusive('\n').collect();
    let seen = Seen::default();
    let read = |lines: &[&str]| {
        let provider = ProviderName::parse("aws").unwrap();
        let text = [&[TITLE], lines].concat().concat();
        let read: Vec<_> = Aws::new(text.as_bytes(), provider, seen.clone()).collect();
        (read.len(), read.into_iter().find_map(Result::err))
    };
    assert_eq!(read(&lines[1..]), (11, None));
    // What is not ours, or costs nothing, is booked nowhere.
    assert_eq!(read(&lines[4..]), (8, None));
    let later = lines[1].replace("qv2x", "another");
    assert_eq!(read(&[&later]), (1, None));
    let (_, damage) = read(&[lines[5], lines[2]]);
    let damage = damage.expect("the second was there before");
    assert_eq!((damage.line, damage.column), (3, 14), "{damage}");
    assert!(damage.what.contains("qv2x") && damage.what.contains("given twice"), "{damage}");
}

/// Without a column that tells lines apart, two machines may have the same line.
#[test]
fn lines_without_an_identity_are_not_compared() {
    let text = without(&export(), "identity_line_item_id");
    let lines: Vec<&str> = text.split_inclusive('\n').collect();
    assert_eq!(whole(&[&lines[..2], &lines[1..2]].concat().concat()).len(), 2);
}

fn whole(text: &str) -> Vec<BillLine> {
    aws(text).into_iter().map(Result::unwrap).collect()
}

fn damage(text: &str) -> BillDamage {
    aws(text).pop().expect("a line or a damage").unwrap_err()
}

/// A file without a column.
fn without(text: &str, column: &str) -> String {
    let at = TITLE.trim_end().split(',').position(|title| title == column).expect("a column");
    let line = |line: &str| {
        // The map of tags is the only field with commas in it.
        let hidden = line.replace(OURS, "OURS");
        let fields = hidden.split(',').enumerate().filter(|(number, _)| *number != at);
        let fields: Vec<&str> = fields.map(|(_, field)| field).collect();
        fields.join(",").replace("OURS", OURS) + "\n"
    };
    text.lines().map(line).collect()
}

#[test]
fn an_export_of_today_is_read() {
    let lines = whole(&export());
    let machine = &lines[0];
    assert_eq!(
        (machine.during.from.to_string(), machine.during.to.to_string()),
        ("2026-11-20T13:00:00.000Z".into(), "2026-11-20T14:00:00.000Z".into())
    );
    assert_eq!(machine.cost.to_string(), "0.0823");
    assert_eq!(
        machine.what,
        What {
            service: "AmazonEC2 EUW2-SpotUsage:m5.xlarge".into(),
            resource: Some("i-01".into()),
            place: Some("eu-west-2".into()),
        }
    );
    let Whose::Ours(Ours { space, machinetype, machine, deployment }) = &machine.whose else {
        panic!("ours")
    };
    assert_eq!(space.as_str(), "ska.aws");
    assert_eq!(machinetype.as_ref().unwrap().as_str(), "dune");
    assert_eq!(
        (machine.as_ref().unwrap().as_str(), deployment.as_ref()),
        ("vcycle-dune-abcdefghij", None)
    );
    let storage = &lines[8];
    assert_eq!((&storage.whose, storage.cost.to_string()), (&Whose::Others, "0.00000025".into()));
    assert_eq!((lines[9].kind, lines[10].kind), (Kind::Tax, Kind::Credit));
}

/// By the column of most lines the reserved machine would cost nothing, and the covered one nothing together with its
/// negation: the ledger would be corrected to that, and there would be room for machines that nobody pays for.
#[test]
fn a_machine_that_a_commitment_pays_for_costs_its_part_of_it() {
    let lines = whole(&export());
    let costs: Vec<String> = lines.iter().map(|line| line.cost.to_string()).collect();
    assert_eq!(costs[..4], ["0.0823", "0.137", "0.149", "0.00"]);
    assert_eq!(costs[4..8], ["3.75", "0.051", "0.00", "0.00"], "of the fees what was not used");
    let fees = lines[4..8].iter().all(|line| line.whose == Whose::Others);
    assert!(fees && lines[..8].iter().all(|line| line.kind == Kind::Charge));
    let ours = lines.iter().filter(|line| line.whose != Whose::Others);
    let sum: Exact = ours.map(|line| line.cost).sum();
    assert_eq!(sum.to_string(), "0.3683");
}

#[test]
fn without_its_column_a_machine_that_a_commitment_pays_for_is_not_read() {
    for (column, place) in
        [("reservation_effective_cost", 1), ("savings_plan_savings_plan_effective_cost", 2)]
    {
        let text = without(&export(), column);
        let read = aws(&text);
        assert_eq!(read.len(), place + 1, "{read:?}");
        let damage = read[place].as_ref().unwrap_err();
        assert!(damage.what.contains(&format!("column {column}, which is missing")), "{damage}");
        let of_others = text.replace(OURS, "{}");
        assert!(aws(&of_others).iter().all(Result::is_ok), "what others have is no reason");
    }
    let empty = export().replace(",0.1370000000,", ",,");
    assert!(damage(&empty).what.contains("is empty here"), "{}", damage(&empty));
    let zero = export().replace(",0.1370000000,", ",0.0,");
    assert!(damage(&zero).what.contains("account that pays"), "{}", damage(&zero));
    let unused = zero.replace("bill_payer_account_id", "line_item_usage_amount");
    assert!(damage(&unused).what.contains("account that pays"), "111122223333 hours were used");
    assert!(aws(&unused.replace("\n111122223333,", "\n0.0,")).iter().all(Result::is_ok));
    for column in [
        "reservation_unused_recurring_fee",
        "savings_plan_used_commitment",
        "line_item_resource_id",
    ] {
        assert!(aws(&without(&export(), column)).iter().all(Result::is_ok), "{column}");
    }
}

#[test]
fn taxes_and_vouchers_are_never_taken_for_charges() {
    let what = damage(&without(&export(), "line_item_line_item_type")).what;
    assert!(what.contains("no column line_item_line_item_type: choose it"), "{what}");
    let what = damage(&export().replace("USD,Tax,", "USD,,")).what;
    assert!(what.contains("no type"), "{what}");
}

#[test]
fn a_month_in_one_line_is_refused_with_what_to_choose() {
    let month = "2026-12-01T00:00:00.000Z,2026-11-01T00:00:00.000Z";
    let hour = "2026-11-20T14:00:00.000Z,2026-11-20T13:00:00.000Z";
    let text = export().replace(hour, month);
    let damage = damage(&text);
    assert_eq!(damage.line, 2);
    assert!(damage.what.contains("DAILY"), "{damage}");
    let day = "2026-11-21T00:00:00.000Z,2026-11-20T00:00:00.000Z";
    assert!(aws(&export().replace(hour, day)).iter().all(Result::is_ok));
    assert!(aws(&text.replace(OURS, "{}")).iter().all(Result::is_ok), "of others it is no matter");
}

#[test]
fn an_export_of_the_older_report_is_read() {
    let lines = whole(
        "\u{feff}identity/LineItemId,lineItem/UsageStartDate,lineItem/UsageEndDate,lineItem/LineItemType,\
         lineItem/UnblendedCost,lineItem/CurrencyCode,resourceTags/user:vcycle_space,product/region,reservation/EffectiveCost,\
         reservation/ReservationARN,savingsPlan/SavingsPlanEffectiveCost\r\n\
         a,2026-11-20T13:00:00Z,2026-11-20T14:00:00Z,Usage,0.5,USD,ska.aws,eu-west-2,,,\r\n\
         b,2026-11-20T13:00:00Z,2026-11-20T14:00:00Z,DiscountedUsage,0,USD,ska.aws,eu-west-2,0.3,arn,\r\n\
         c,2026-11-20T13:00:00Z,2026-11-20T14:00:00Z,SavingsPlanCoveredUsage,0.5,USD,ska.aws,eu-west-2,,,0.4\r\n\
         d,2026-11-20T13:00:00Z,2026-11-20T14:00:00Z,SavingsPlanNegation,-0.5,USD,ska.aws,eu-west-2,,,\r\n\
         e,2026-11-01T00:00:00Z,2026-12-01T00:00:00Z,Fee,900,USD,,,,arn,\r\n",
    );
    let ours = |line: &BillLine| matches!(&line.whose, Whose::Ours(ours) if ours.space.as_str() == "ska.aws");
    assert!(lines[..4].iter().all(ours));
    assert_eq!(lines[0].what.place.as_deref(), Some("eu-west-2"));
    let costs: Vec<String> = lines.iter().map(|line| line.cost.to_string()).collect();
    assert_eq!(costs, ["0.50", "0.30", "0.40", "0.00", "0.00"]);
}

#[test]
fn a_field_that_makes_no_sense_is_told_with_its_place() {
    let text = export().replace("2.5E-7", "cheap");
    let read = aws(&text);
    assert_eq!(read.len(), 9, "nothing after the damage, and nothing before it is lost");
    let damage = read[8].as_ref().unwrap_err();
    let line = text.lines().nth(9).unwrap();
    assert_eq!((damage.line, damage.column), (10, line.find("cheap").unwrap() as u64 + 1));
    assert_eq!(damage.what, "\"cheap\" is no amount of money");
}

#[test]
fn another_file_is_told_apart() {
    let focus = damage("BilledCost,ServiceName\n1,x\n").to_string();
    assert!(focus.contains("line 1, column 1: there is no column"), "{focus}");
    assert!(damage("").what.contains("empty"));
    let short = export().replace(",eu-west-2,,,,,{},,,,\n", ",eu-west-2\n");
    let what = damage(&short).what;
    assert!(what.contains("12 columns where the title has 21"), "{what}");
}
