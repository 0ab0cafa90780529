//! Scale and speed of the whole program beside a sandbox in a process of its own, as a user would run them.
//!
//! ```text
//! cargo bench --bench scale -- steady [OBJECTS...]    a silent cycle: requests, CPU, memory
//! cargo bench --bench scale -- converge [SERVERS]     from nothing to everything, beside the bound
//! cargo bench --bench scale -- latency [OBJECTS]      from a file that is written to the first request
//! cargo bench --bench scale -- upload [MIB]           an image beside `curl -T` of the same file
//! cargo bench --bench scale -- soak [OBJECTS] [HOURS] churn for hours, at a hundred times their speed
//! ```
//!
//! Figures are printed and nothing is asserted of them: they depend on the machine. What is asserted is the end:
//! everything Available, each resource once.

#![allow(clippy::print_stdout, reason = "its output is its purpose")]
#![allow(clippy::unwrap_used, reason = "a benchmark that cannot go on stops")]

mod cloud;
mod converge;
mod daemon;
mod latency;
mod manifests;
mod process;
mod soak;
mod steady;
mod upload;

fn main() {
    // Cargo hands over `--bench` as well.
    let words: Vec<String> = std::env::args()
        .skip(1)
        .filter(|it| it != "--bench")
        .collect();
    let numbers: Vec<u64> = words.iter().skip(1).map(|it| it.parse().unwrap()).collect();
    let first = |default| numbers.first().copied().unwrap_or(default);
    match words.first().map(String::as_str) {
        Some("steady") if numbers.is_empty() => steady::bench(&[100, 1000, 10_000]),
        Some("steady") => steady::bench(&numbers),
        Some("converge") => converge::bench(first(1000)),
        Some("latency") => latency::bench(first(10_000)),
        Some("upload") => upload::bench(first(10_240)),
        Some("soak") => soak::bench(first(10_000), numbers.get(1).copied().unwrap_or(24)),
        _ => {
            println!("say which: steady, converge, latency, upload or soak (benches/scale/main.rs)")
        }
    }
}
