//! Which tests are sent after which bug: those that are about the decision that it gets wrong.

use stackward::zoo::Bug;

/// The tests of which at least one has to fail with this bug.
pub(crate) fn catchers(bug: Bug) -> &'static [&'static str] {
    match bug {
        Bug::RepeatsAWrite => {
            &["calls::a_read_is_repeated_when_its_failure_passes_and_a_write_never"]
        }
        Bug::FollowsARedirectOfAWrite => {
            &["calls::a_redirect_is_followed_for_a_read_on_the_same_server_and_for_nothing_else"]
        }
        Bug::ObeysRetryAfterZero => {
            &["calls::a_service_that_asks_to_be_asked_at_once_is_given_a_second"]
        }
        Bug::TakesATimeoutForNotSent => &["calls::a_call_ends_at_its_deadline"],
        Bug::TakesAServerErrorForARefusal => {
            &["calls::a_read_is_repeated_when_its_failure_passes_and_a_write_never"]
        }
        Bug::SendsBeforeItIsRecorded | Bug::SendsAfterAFailedRecord => {
            &["journal::a_failed_journal_stops_creates"]
        }
        Bug::SendsElsewhere => {
            &["journal::a_create_that_waits_for_the_journal_is_not_sent_elsewhere"]
        }
        Bug::SkipsTheSync => &[
            "journal::an_intent_that_was_acknowledged_is_in_the_file_of_a_process_that_is_killed_now",
        ],
        Bug::ForgetsTheIntentAfterACrash => {
            &["doubt::a_create_during_which_the_daemon_died_is_looked_for_also_in_lists_that_lag"]
        }
        Bug::TakesUnknownForRefused | Bug::TakesAnAnswerWithoutAnIdForRefused => {
            &["doubt::a_create_whose_answer_says_nothing_is_looked_for_also_in_lists_that_lag"]
        }
        Bug::PostsAgainTooEarly => {
            &["properties::a_create_that_was_not_carried_out_is_tried_again_after_the_window"]
        }
        Bug::ForgetsTheOldTry => {
            &["doubt::what_a_try_that_was_given_up_has_made_is_ours_when_it_shows_at_last"]
        }
        Bug::TrustsTheJournalAlone => &["properties::the_state_file_may_be_lost"],
        Bug::SendsTwoRequestsAtOnce => {
            &["doubt::while_a_request_is_under_way_no_other_is_sent_for_its_object"]
        }
        Bug::BelievesAnOlderList => {
            &["doubt::a_list_that_began_before_our_last_write_says_nothing"]
        }
        Bug::TrustsAnAbsentListEntry => {
            &["doubt::what_one_list_leaves_out_is_neither_gone_nor_made_again"]
        }
        Bug::TakesOne404ForGone => &["doubt::one_read_that_finds_nothing_is_no_proof_either"],
        Bug::TakesAFailedListForAnEmptyOne => {
            &["doubt::a_list_that_fails_does_not_stand_for_absence"]
        }
        Bug::TakesWhatIsNotUnderstoodForAbsent => {
            &["doubt::a_list_with_items_that_are_not_understood_does_not_stand_for_absence"]
        }
        Bug::BelievesAShrunkenList => {
            &["guards::a_list_that_lost_a_third_at_once_is_looked_at_again_before_it_is_believed"]
        }
        Bug::BelievesAListThatLags => {
            &["doubt::what_was_replaced_is_not_in_force_again_in_lists_that_lag"]
        }
        Bug::TrustsAFilter => &["doubt::what_a_filter_let_through_is_looked_at_again"],
        Bug::AdoptsByName => &["properties::hands_off"],
        Bug::AdoptsAnothersMarker => {
            &["adoption::what_another_installation_has_is_not_taken_from_it"]
        }
        Bug::TakesOverANaturalKey => &["adoption::what_has_no_marker_and_differs_needs_consent"],
        Bug::IgnoresTheProject => &["adoption::what_is_of_another_project_is_not_adopted"],
        Bug::TakesTheFirstOfSeveral => &["doubt::of_several_that_claim_to_be_ours_none_is_touched"],
        Bug::SeesNoRival => {
            &["guards::another_daemon_with_our_owner_id_is_noticed_and_nothing_is_written_any_more"]
        }
        Bug::SkipsTheScopeFingerprint => {
            &["properties::credentials_that_lead_elsewhere_write_nothing"]
        }
        Bug::BelievesAnEmptyDirectory => {
            &["properties::an_empty_directory_deletes_nothing_unless_that_is_allowed"]
        }
        Bug::BelievesOneReading => &["doubt::one_reading_of_the_directory_deletes_nothing"],
        Bug::BelievesABrokenFile => &["doubt::a_file_that_cannot_be_read_may_declare_what_it_did"],
        Bug::KnowsNoGrace => &["properties::a_manifest_that_comes_back_in_its_grace_loses_nothing"],
        Bug::KnowsNoShareLimit => {
            &["guards::more_than_a_fifth_of_the_objects_is_not_deleted_without_a_word"]
        }
        Bug::KnowsNoBudget => &["guards::the_budgets_of_a_cycle_and_of_an_hour_hold"],
        Bug::TakesAnyApproval => &["guards::the_approved_ones_are_deleted_and_only_those"],
        Bug::IgnoresTheProtection | Bug::ForgetsTheProtection => {
            &["doubt::what_was_protected_stays_when_its_manifest_is_gone"]
        }
        Bug::DeletesInForwardOrder => &["properties::removal_goes_in_reverse_order"],
        Bug::DeletesWithoutTheLastLook => {
            &["doubt::what_has_lost_its_marker_by_the_last_look_is_not_deleted"]
        }
        Bug::DeletesWhatCameBack => {
            &["guards::a_manifest_that_comes_back_during_the_last_look_cancels_the_deletion"]
        }
        Bug::DeletesWhatItDidNotMake => {
            &["adoption::a_keypair_has_no_place_for_a_marker_and_is_let_go_rather_than_deleted"]
        }
        Bug::DeletesWhatGoesAlong => {
            &["keystone_kinds::nothing_of_others_is_deleted_along_with_ours"]
        }
        Bug::ForgetsThePause => &["guards::nothing_is_written_while_paused_also_after_a_restart"],
        Bug::IgnoresSuspend => {
            &["adoption::what_is_suspended_is_looked_at_until_that_line_is_removed"]
        }
        Bug::ReplacesWithoutLeave => {
            &["changes::what_only_a_new_one_can_have_is_replaced_by_leave_only"]
        }
        Bug::LosesDataWithoutLeave => {
            &["changes::what_holds_data_or_is_protected_is_not_replaced_by_half_a_leave"]
        }
        Bug::RepairsForEver => {
            &["changes::a_tag_that_somebody_takes_away_again_and_again_ends_as_flapping"]
        }
        Bug::DeletesForEver => {
            &["model::every_kind_in_every_state_comes_to_rest_and_does_only_what_it_may"]
        }
        Bug::RecreatesForEver => &["changes::a_server_in_error_is_made_anew_three_times_at_most"],
    }
}

/// The bugs that show in what is written in some state, whatever came before: the model check of the
/// planner is to catch them by itself.
pub(crate) const OF_THE_PLANNER: [Bug; 22] = [
    Bug::TrustsTheJournalAlone,
    Bug::BelievesAnOlderList,
    Bug::TrustsAnAbsentListEntry,
    Bug::TakesAFailedListForAnEmptyOne,
    Bug::TakesWhatIsNotUnderstoodForAbsent,
    Bug::AdoptsByName,
    Bug::AdoptsAnothersMarker,
    Bug::TakesOverANaturalKey,
    Bug::IgnoresTheProject,
    Bug::TakesTheFirstOfSeveral,
    Bug::SkipsTheScopeFingerprint,
    Bug::BelievesAnEmptyDirectory,
    Bug::BelievesOneReading,
    Bug::BelievesABrokenFile,
    Bug::IgnoresTheProtection,
    Bug::DeletesWhatItDidNotMake,
    Bug::ForgetsThePause,
    Bug::IgnoresSuspend,
    Bug::ReplacesWithoutLeave,
    Bug::LosesDataWithoutLeave,
    Bug::RepairsForEver,
    Bug::DeletesForEver,
];
