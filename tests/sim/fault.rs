//! What can go wrong with one request of a simulated run.

/// What goes wrong with one request, or with one write of the journal.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash)]
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
    /// Its answer is lost, and it is done so many seconds later.
    Late(u8),
    /// The daemon dies before it.
    CrashBefore,
    /// The daemon dies after it.
    CrashAfter,
}

impl Fault {
    pub const ALL: [Self; 8] = [
        Self::NotSent,
        Self::Refused,
        Self::Lost,
        Self::DoneAndRefused,
        Self::Empty,
        // The window is 120 s.
        Self::Late(119),
        Self::CrashBefore,
        Self::CrashAfter,
    ];
}
