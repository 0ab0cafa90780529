//! The usual `process_*` metrics, from /proc/self. Elsewhere than on Linux they stay away.

#![expect(clippy::disallowed_methods, reason = "/proc is made of files")]

use std::fs;

use prometheus::{Counter, Gauge, Registry};

use super::metrics::Family;
use super::metrics::family;

/// Ticks per second in /proc, the same on every architecture.
const TICKS: f64 = 100.0;

pub(super) struct Process {
    cpu: Counter,
    start: Gauge,
    resident: Gauge,
    virtual_memory: Gauge,
    open_fds: Gauge,
    max_fds: Gauge,
    threads: Gauge,
}

impl Process {
    pub(super) fn new(registry: &Registry) -> Result<Self, prometheus::Error> {
        let gauge = |family: &Family| {
            let gauge = Gauge::with_opts(family.opts())?;
            registry.register(Box::new(gauge.clone()))?;
            Ok::<_, prometheus::Error>(gauge)
        };
        let cpu = Counter::with_opts(family::PROCESS_CPU.opts())?;
        registry.register(Box::new(cpu.clone()))?;
        Ok(Self {
            cpu,
            start: gauge(&family::PROCESS_START)?,
            resident: gauge(&family::PROCESS_RESIDENT)?,
            virtual_memory: gauge(&family::PROCESS_VIRTUAL)?,
            open_fds: gauge(&family::PROCESS_FDS)?,
            max_fds: gauge(&family::PROCESS_MAX_FDS)?,
            threads: gauge(&family::PROCESS_THREADS)?,
        })
    }

    /// Reads the values of now. What cannot be read keeps its value.
    pub(super) fn refresh(&self) {
        if let Some(stat) = Stat::read() {
            self.cpu
                .inc_by((stat.cpu_seconds - self.cpu.get()).max(0.0));
            self.start.set(stat.start_seconds);
            self.resident.set(stat.resident_bytes);
            self.virtual_memory.set(stat.virtual_bytes);
            self.threads.set(stat.threads);
        }
        if let Ok(entries) = fs::read_dir("/proc/self/fd") {
            // One of them is the directory that is being read.
            self.open_fds.set(count(entries.count().saturating_sub(1)));
        }
        if let Some(limit) = max_fds() {
            self.max_fds.set(limit);
        }
    }
}

struct Stat {
    cpu_seconds: f64,
    start_seconds: f64,
    resident_bytes: f64,
    virtual_bytes: f64,
    threads: f64,
}

impl Stat {
    fn read() -> Option<Self> {
        let boot = fs::read_to_string("/proc/stat").ok()?;
        let boot = boot
            .lines()
            .find_map(|line| line.strip_prefix("btime "))?
            .parse()
            .ok()?;
        let status = fs::read_to_string("/proc/self/status").ok()?;
        Self::parse(&fs::read_to_string("/proc/self/stat").ok()?, &status, boot)
    }

    /// Fields as proc(5) numbers them, after the name, which may hold anything.
    fn parse(stat: &str, status: &str, boot: f64) -> Option<Self> {
        let (_, rest) = stat.rsplit_once(')')?;
        let fields: Vec<&str> = rest.split_whitespace().collect();
        let field = |number: usize| fields.get(number - 3)?.parse::<f64>().ok();
        let resident = status
            .lines()
            .find_map(|line| line.strip_prefix("VmRSS:"))?;
        let kibibytes: f64 = resident.trim().strip_suffix(" kB")?.trim().parse().ok()?;
        Some(Self {
            cpu_seconds: (field(14)? + field(15)?) / TICKS,
            threads: field(20)?,
            start_seconds: boot + field(22)? / TICKS,
            virtual_bytes: field(23)?,
            resident_bytes: kibibytes * 1024.0,
        })
    }
}

fn max_fds() -> Option<f64> {
    let limits = fs::read_to_string("/proc/self/limits").ok()?;
    let line = limits
        .lines()
        .find_map(|line| line.strip_prefix("Max open files"))?;
    line.split_whitespace().next()?.parse().ok()
}

fn count(number: usize) -> f64 {
    u32::try_from(number).map_or(f64::INFINITY, f64::from)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_process_with_a_strange_name_is_read_all_the_same() {
        let stat = "7 (a) b) S 1 7 7 0 -1 4194560 9 0 0 0 150 50 0 0 20 0 4 0 6000 1048576 25 1";
        let stat = Stat::parse(stat, "Name:\ta\nVmRSS:\t     100 kB\n", 1000.0).unwrap();
        assert_eq!((stat.cpu_seconds, stat.threads), (2.0, 4.0));
        assert_eq!(
            (stat.start_seconds, stat.virtual_bytes),
            (1060.0, 1_048_576.0)
        );
        assert_eq!(stat.resident_bytes, 102_400.0);
    }
}
