use super::*;
use crate::observe::join::tests::record;

const SETTLE: Duration = Duration::from_secs(30);

/// A listing that began this many seconds after the create of the record, by the wall clock and by ours.
fn began(wall: u64, monotonic: u64) -> Began {
    Began {
        wall: Timestamp::from_secs(1000) + Duration::from_secs(wall),
        monotonic: Duration::from_secs(monotonic),
    }
}

fn is_young(settling: &mut Settling, record: &MachineRecord, began: Began) -> bool {
    let records = BTreeMap::from([(record.machine().clone(), record.clone())]);
    !settling.unsettled(&records, began, SETTLE).is_empty()
}

#[test]
fn a_machine_has_settled_when_both_clocks_say_so() {
    let (mut settling, record) = (Settling::default(), record(1, Some(1)));
    assert!(is_young(&mut settling, &record, began(0, 500)));
    assert!(is_young(&mut settling, &record, began(29, 529)));
    assert!(!is_young(&mut settling, &record, began(30, 530)));
}

#[test]
fn a_step_of_the_wall_clock_makes_no_young_machine_old() {
    let (mut settling, record) = (Settling::default(), record(1, Some(1)));
    assert!(is_young(&mut settling, &record, began(1, 500)));
    assert!(is_young(&mut settling, &record, began(59, 502)), "stepped forward");
    assert!(is_young(&mut settling, &record, began(3, 560)), "stepped back");
    assert!(!is_young(&mut settling, &record, began(60, 561)));
}

#[test]
fn a_stamp_of_another_host_is_not_believed() {
    let (mut settling, record) = (Settling::default(), record(1, Some(1)));
    assert!(is_young(&mut settling, &record, began(9_000, 500)), "we have just taken over");
    assert!(!is_young(&mut settling, &record, began(9_030, 530)));
}

#[test]
fn a_create_that_is_sent_again_begins_anew() {
    let (mut settling, mut record) = (Settling::default(), record(1, Some(1)));
    assert!(is_young(&mut settling, &record, began(0, 500)));
    record.asked = Timestamp::from_secs(1020);
    assert!(is_young(&mut settling, &record, began(60, 531)));
    assert!(!is_young(&mut settling, &record, began(90, 561)));
}

#[test]
fn with_exact_listings_nothing_is_young() {
    let (mut settling, record) = (Settling::default(), record(1, Some(1)));
    let records = BTreeMap::from([(record.machine().clone(), record)]);
    assert!(settling.unsettled(&records, began(0, 0), Duration::ZERO).is_empty());
}
