//! The cases. Each proves one rule of the contract, which its doc comment states.

mod creating;
mod ending;
mod failing;
mod listing;
mod preparing;
mod selling;

use std::future::Future;
use std::pin::Pin;

use super::{Bench, Outcome};

type Running<'a> = Pin<Box<dyn Future<Output = Outcome> + 'a>>;

/// A named case.
#[derive(Clone, Copy)]
pub struct Case {
    /// What the provider must do, as a sentence.
    pub name: &'static str,
    body: for<'a> fn(&'a Bench) -> Running<'a>,
}

impl Case {
    pub(super) fn run<'a>(&self, bench: &'a Bench) -> Running<'a> {
        (self.body)(bench)
    }
}

/// Turns functions into named cases.
macro_rules! cases {
    ($($module:ident::$name:ident),* $(,)?) => {
        vec![$(Case { name: stringify!($name), body: |bench| Box::pin($module::$name(bench)) }),*]
    };
}

/// Every case, in the order in which a new provider should be made to pass them.
pub fn all_cases() -> Vec<Case> {
    cases![
        creating::a_created_machine_comes_to_run,
        listing::a_listing_shows_the_whole_identity,
        listing::a_get_shows_the_same_machine_as_the_listing,
        listing::the_longest_names_come_back_unchanged,
        listing::an_unknown_id_is_not_found,
        listing::observing_changes_nothing,
        listing::the_tenancy_stays_the_same,
        selling::offerings_are_sane,
        selling::quota_is_sane_and_rises_with_use,
        preparing::the_terms_of_an_open_tenancy_allow_its_use,
        preparing::each_need_gets_one_answer,
        preparing::what_is_needed_becomes_ready,
        preparing::an_inspection_finds_a_good_tenancy_good,
        creating::the_same_request_again_makes_no_second_machine,
        creating::the_same_request_at_the_same_time_makes_no_second_machine,
        creating::user_data_up_to_the_limit_is_taken_and_beyond_it_refused,
        creating::an_unknown_intent_is_proven_absent_only_when_it_has_settled,
        creating::a_machine_is_found_by_its_intent,
        ending::a_deleted_machine_is_proven_gone_in_the_end,
        ending::a_delete_may_be_repeated,
        ending::deleting_an_unknown_id_says_that_there_is_nothing,
        ending::a_fresh_machine_can_be_deleted_at_once,
        ending::deleting_one_machine_leaves_the_others,
        ending::a_deleted_machine_is_never_made_again_by_its_intent,
        ending::a_deleted_machine_leaves_no_side_resource,
        ending::a_machine_ends_at_its_deadline_though_nobody_ends_it,
        listing::a_thousand_and_one_machines_are_listed,
        ending::a_machine_that_ended_is_stopped_and_deletable,
        ending::a_preempted_machine_says_so,
        ending::a_lost_delete_reply_may_be_repeated,
        creating::a_reply_lost_after_the_commit_is_found,
        creating::a_reply_lost_before_the_commit_is_proven_absent,
        creating::a_failed_boot_is_visible_and_deletable,
        listing::a_lost_page_makes_the_listing_partial,
        listing::a_stranger_with_our_name_is_foreign_and_stays,
        listing::another_deployment_is_told_from_ours,
        listing::half_a_set_of_tags_is_foreign,
        selling::quota_counts_strangers,
        selling::a_full_quota_makes_nothing,
        selling::a_stock_out_names_the_offering_and_makes_nothing,
        failing::a_throttle_storm_is_told_and_passes,
        failing::an_outage_proves_nothing,
        failing::revoked_credentials_give_nothing_but_auth_failed,
        preparing::an_inspection_says_that_the_login_fails,
        failing::a_fast_client_clock_proves_no_absence,
        failing::a_slow_client_clock_harms_nothing,
    ]
}
