//! What an exit status means: said here once, for `--help`, the man page and the reference.

/// Each exit status, and what it means.
pub(super) const STATUSES: &[(u8, &str)] = &[
    (0, "done: what was asked for is so, or was shown"),
    (
        1,
        "not done, or not yet as it should be; the reasons are on stderr",
    ),
    (
        2,
        "the command line or settings are wrong; `plan --detailed-exitcode`: something to do",
    ),
    (101, "a fault of stackward itself; please report it"),
];

/// The statuses as the end of a help text.
pub(super) fn help() -> String {
    let lines = STATUSES
        .iter()
        .map(|(status, meaning)| format!("  {status:<4} {meaning}\n"));
    format!("Exit status:\n{}", lines.collect::<String>())
}
