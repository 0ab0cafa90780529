//! The bug zoo: deliberately wrong variants of single decisions, to see that the tests notice each.
//!
//! No part of a release: without the feature `zoo` every question below is a constant `false`, and
//! with it nothing but a debug build compiles. A process has at most one bug, named by the variable
//! `STACKWARD_ZOO`; `tests/zoo` starts itself once for each and fails if one survives.

#[cfg(all(feature = "zoo", not(debug_assertions)))]
compile_error!("the feature `zoo` holds deliberate bugs and is no part of a release");

macro_rules! bugs {
    ($($(#[$doc:meta])* $name:ident,)*) => {
        /// One wrong decision.
        #[derive(Debug, Clone, Copy, PartialEq, Eq)]
        pub enum Bug { $($(#[$doc])* $name,)* }

        impl Bug {
            /// All of them.
            pub const ALL: &[Self] = &[$(Self::$name),*];
        }
    };
}

bugs! {
    // The client.
    /// A write is sent again after a 503.
    RepeatsAWrite,
    /// A write is sent on to where a redirect leads.
    FollowsARedirectOfAWrite,
    /// `Retry-After: 0` is taken at its word.
    ObeysRetryAfterZero,
    /// What ran into the deadline counts as never sent.
    TakesATimeoutForNotSent,
    /// A 5xx counts as certainly not carried out.
    TakesAServerErrorForARefusal,

    // Creating exactly once.
    /// A create goes out without an intent in the journal.
    SendsBeforeItIsRecorded,
    /// A create goes out although the journal could not be written.
    SendsAfterAFailedRecord,
    /// A create that waited for the journal goes to another cloud than the one that was looked at.
    SendsElsewhere,
    /// A commit of the journal is not forced to disk.
    SkipsTheSync,
    /// After a restart nothing is known of creates that were under way.
    ForgetsTheIntentAfterACrash,
    /// A create whose outcome is unknown counts as not carried out.
    TakesUnknownForRefused,
    /// An answer without an id counts as not carried out.
    TakesAnAnswerWithoutAnIdForRefused,
    /// An uncertain create is tried again before its window is over.
    PostsAgainTooEarly,
    /// A try that was given up is forgotten, and its late result taken for a stranger's.
    ForgetsTheOldTry,
    /// What the journal does not know is not looked for before it is made.
    TrustsTheJournalAlone,
    /// Two requests for one object at once.
    SendsTwoRequestsAtOnce,

    // What is believed.
    /// A list that began before our last write is believed.
    BelievesAnOlderList,
    /// What a list shows is there, although it is proven gone and has a successor.
    BelievesAListThatLags,
    /// What one list leaves out is gone.
    TrustsAnAbsentListEntry,
    /// One read by id that answers 404 proves that it is gone.
    TakesOne404ForGone,
    /// A list that failed is an empty one.
    TakesAFailedListForAnEmptyOne,
    /// A list with items that are not understood stands for absence all the same.
    TakesWhatIsNotUnderstoodForAbsent,
    /// A list that lost a third of its items at once is believed.
    BelievesAShrunkenList,
    /// Whatever a filtered list holds matches the filter.
    TrustsAFilter,

    // Whose it is.
    /// What has the right name is taken over without consent.
    AdoptsByName,
    /// What carries another marker is adopted by consent that was not about that.
    AdoptsAnothersMarker,
    /// What differs and has the natural key is taken over without consent.
    TakesOverANaturalKey,
    /// The project of a resource is not looked at.
    IgnoresTheProject,
    /// Of several with our marker, the first is taken.
    TakesTheFirstOfSeveral,
    /// Another daemon with our owner id is not noticed.
    SeesNoRival,
    /// Credentials that lead to another place than before are used.
    SkipsTheScopeFingerprint,

    // Deleting.
    /// An empty directory means that all is to go.
    BelievesAnEmptyDirectory,
    /// One reading of the directory is enough.
    BelievesOneReading,
    /// A file that cannot be read declares nothing.
    BelievesABrokenFile,
    /// What is not declared goes at once.
    KnowsNoGrace,
    /// Any number may go without a word.
    KnowsNoShareLimit,
    /// Any number may go in one poll interval.
    KnowsNoBudget,
    /// Any hash approves.
    TakesAnyApproval,
    /// What is protected goes.
    IgnoresTheProtection,
    /// The protection is not remembered when the manifest is gone.
    ForgetsTheProtection,
    /// What is referred to goes before what refers to it.
    DeletesInForwardOrder,
    /// What a fresh read shows right before the deletion does not matter.
    DeletesWithoutTheLastLook,
    /// A manifest that comes back during that read does not matter.
    DeletesWhatCameBack,
    /// What has a natural key is deleted also if we did not make it.
    DeletesWhatItDidNotMake,
    /// What the service deletes along with it does not matter.
    DeletesWhatGoesAlong,

    // A person's word.
    /// `stackward pause` does not hold.
    ForgetsThePause,
    /// `suspend: true` does not hold.
    IgnoresSuspend,
    /// A replacement needs no leave.
    ReplacesWithoutLeave,
    /// Data may be lost without leave.
    LosesDataWithoutLeave,
    /// A repair that does not hold is sent for ever.
    RepairsForEver,
    /// A deletion that does nothing is asked for with every look.
    DeletesForEver,
    /// What is in ERROR is made anew for ever.
    RecreatesForEver,
}

/// Is this the bug that this process has?
#[cfg(not(feature = "zoo"))]
#[must_use]
pub const fn has(_: Bug) -> bool {
    false
}

/// Is this the bug that this process has?
#[cfg(feature = "zoo")]
#[must_use]
pub fn has(bug: Bug) -> bool {
    static PRESENT: std::sync::OnceLock<Option<Bug>> = std::sync::OnceLock::new();
    *PRESENT.get_or_init(present) == Some(bug)
}

/// The bug of this process, by its name in the environment.
#[cfg(feature = "zoo")]
#[expect(
    clippy::disallowed_methods,
    clippy::panic,
    reason = "no setting of the program: tests/zoo chooses the bug of a child"
)]
fn present() -> Option<Bug> {
    let name = std::env::var("STACKWARD_ZOO").ok()?;
    let bug = Bug::ALL.iter().find(|bug| format!("{bug:?}") == name);
    Some(*bug.unwrap_or_else(|| panic!("there is no bug {name}")))
}
