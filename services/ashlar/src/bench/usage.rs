//! What processes on this machine use, as /proc tells it: processor time, memory, bytes written.
//!
//! These files describe other processes and have no length, so they are read past `Env`'s disk; a simulation has no
//! other processes to measure.

use std::io;

/// Ticks of a second in /proc/PID/stat: USER_HZ, which is 100 wherever Rust's std supports Linux.
const TICKS_PER_SECOND: f64 = 100.0;

/// What one process has used since it started.
#[derive(Debug, Clone, Copy, PartialEq, Default)]
pub(crate) struct Usage {
    /// Processor time of all its threads, those that ended included, in user and in kernel mode.
    pub(crate) cpu_seconds: f64,
    /// Resident memory now.
    pub(crate) resident_bytes: u64,
    /// The most resident memory since it started.
    pub(crate) resident_peak_bytes: u64,
    /// Bytes that it caused to be written to storage; `None` when we may not know.
    pub(crate) written_bytes: Option<u64>,
}

/// Reads what a process has used. Blocks for microseconds.
pub(crate) fn usage_of(pid: u32) -> io::Result<Usage> {
    let status = read(pid, "status")?;
    Ok(Usage {
        cpu_seconds: cpu_seconds(&read(pid, "stat")?).ok_or(io::ErrorKind::InvalidData)?,
        resident_bytes: kibibytes(&status, "VmRSS:").unwrap_or(0),
        resident_peak_bytes: kibibytes(&status, "VmHWM:").unwrap_or(0),
        // Readable only with the right to trace the process.
        written_bytes: read(pid, "io").ok().and_then(|text| field(&text, "write_bytes:")?.parse().ok()),
    })
}

/// What a process holds in memory now; zero when it is gone.
pub(crate) fn resident_bytes_of(pid: u32) -> u64 {
    read(pid, "status").ok().and_then(|status| kibibytes(&status, "VmRSS:")).unwrap_or(0)
}

#[expect(
    clippy::disallowed_methods,
    reason = "/proc is no disk: its files have no length, and a simulation has none"
)]
fn read(pid: u32, file: &str) -> io::Result<String> {
    std::fs::read_to_string(format!("/proc/{pid}/{file}"))
}

/// Fields 14 and 15 of proc_pid_stat(5), counted after the name, which is in parentheses and may hold anything.
fn cpu_seconds(stat: &str) -> Option<f64> {
    let (_, fields) = stat.rsplit_once(") ")?;
    let mut ticks = fields.split(' ').skip(11).map(str::parse::<u64>);
    let user = ticks.next()?.ok()?;
    let system = ticks.next()?.ok()?;
    Some((user + system) as f64 / TICKS_PER_SECOND)
}

fn kibibytes(status: &str, name: &str) -> Option<u64> {
    let number = field(status, name)?.strip_suffix("kB")?.trim().parse::<u64>().ok()?;
    number.checked_mul(1024)
}

fn field<'a>(text: &'a str, name: &str) -> Option<&'a str> {
    text.lines().find_map(|line| line.strip_prefix(name)).map(str::trim)
}

#[cfg(test)]
mod tests {
    use super::{cpu_seconds, kibibytes, resident_bytes_of, usage_of};

    #[test]
    fn names_with_parentheses_and_spaces_do_not_shift_fields() {
        let stat = "7 (a) b (c)) S 1 7 7 0 -1 4194560 100 0 0 0 250 50 9 9 20 0 3 0 100 1 1";
        assert_eq!(cpu_seconds(stat), Some(3.0));
        assert_eq!(cpu_seconds("7 (a) S 1"), None);
        assert_eq!(cpu_seconds(""), None);
    }

    #[test]
    fn memory_is_read_in_bytes() {
        let status = "Name:\tx\nVmHWM:\t    2048 kB\nVmRSS:\t    1024 kB\n";
        assert_eq!(kibibytes(status, "VmHWM:"), Some(2 << 20));
        assert_eq!(kibibytes(status, "VmSwap:"), None);
    }

    #[test]
    fn our_own_process_can_be_read_and_one_that_cannot_be_is_an_error() {
        let usage = usage_of(std::process::id()).unwrap();
        assert!(usage.resident_bytes > 0 && usage.resident_peak_bytes >= usage.resident_bytes / 2);
        assert!(resident_bytes_of(std::process::id()) > 0);
        assert!(usage_of(u32::MAX).is_err());
        assert_eq!(resident_bytes_of(u32::MAX), 0);
    }
}
