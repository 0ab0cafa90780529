//! What can go wrong with one request of a simulated run.

/// What goes wrong with one request, or with one write of the journal.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Fault {
    /// It never leaves.
    NotSent,
    /// The service answers 503 and has done nothing.
    Refused,
    /// It is done, and its answer is lost.
    Lost,
    /// It is done, and 503 is answered.
    DoneAndRefused,
    /// It is done, and the answer says nothing.
    Empty,
    /// The daemon dies before it.
    CrashBefore,
    /// The daemon dies after it.
    CrashAfter,
}

impl Fault {
    pub const ALL: [Self; 7] = [
        Self::NotSent,
        Self::Refused,
        Self::Lost,
        Self::DoneAndRefused,
        Self::Empty,
        Self::CrashBefore,
        Self::CrashAfter,
    ];
}
