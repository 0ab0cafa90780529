//! What a resource's own state means to us.

/// The health of a resource, read from its status.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum Health {
    /// It serves: Available.
    Ready,
    /// Nothing is wrong, it just does not serve: a stopped server. It can be changed.
    Off(String),
    /// On its way by itself: wait. The state's name.
    Moving(String),
    /// It will not move by itself.
    Stuck {
        /// The state's name: `ERROR`, `error_extending`, `queued`.
        state: String,
        /// The service's words on why, when it has any.
        fault: Option<String>,
    },
    /// Being deleted.
    Leaving,
}

impl Health {
    /// Can requests that change it be sent now?
    #[must_use]
    pub const fn is_settled(&self) -> bool {
        matches!(self, Self::Ready | Self::Off(_))
    }
}
