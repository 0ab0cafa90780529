//! What a process has used, from /proc.

use std::fs;
use std::process::Child;

/// A process that ends with the benchmark, however that ends.
pub(crate) struct Process(pub(crate) Child);

/// What a process has used so far.
#[derive(Debug, Clone, Copy, Default)]
pub(crate) struct Usage {
    /// CPU time in seconds, in hundredths.
    pub(crate) cpu: f64,
    /// Resident memory in MiB.
    pub(crate) memory: f64,
    /// The most resident memory so far in MiB.
    pub(crate) peak: f64,
    /// Open file descriptors.
    pub(crate) files: usize,
    /// How often it was given the CPU after it had waited for something.
    pub(crate) wakeups: u64,
}

impl Process {
    pub(crate) fn usage(&self) -> Option<Usage> {
        let root = format!("/proc/{}", self.0.id());
        let read = |name: &str| fs::read_to_string(format!("{root}/{name}")).ok();
        let status = read("status")?;
        let number = |name: &str| -> Option<f64> {
            let line = status.lines().find(|line| line.starts_with(name))?;
            line.split_whitespace().nth(1)?.parse().ok()
        };
        let stat = read("stat")?;
        let fields: Vec<&str> = stat.rsplit_once(") ")?.1.split(' ').collect();
        let ticks: f64 = fields[11].parse::<f64>().ok()? + fields[12].parse::<f64>().ok()?;
        // Each thread counts for itself.
        let wakeups = fs::read_dir(format!("{root}/task")).ok()?;
        let wakeups = wakeups
            .flatten()
            .filter_map(|task| fs::read_to_string(task.path().join("status")).ok())
            .filter_map(|status| {
                let line = status
                    .lines()
                    .find(|line| line.starts_with("voluntary_ctxt_switches:"))?;
                line.split_whitespace().nth(1)?.parse::<u64>().ok()
            })
            .sum();
        Some(Usage {
            cpu: ticks / 100.0,
            memory: number("VmRSS:")? / 1024.0,
            peak: number("VmHWM:")? / 1024.0,
            files: fs::read_dir(format!("{root}/fd")).ok()?.count(),
            wakeups,
        })
    }
}

impl Drop for Process {
    fn drop(&mut self) {
        let _: std::io::Result<()> = self.0.kill();
        let _: std::io::Result<_> = self.0.wait();
    }
}
