//! What this process uses, as /proc tells it.
//!
//! These files describe the process and have no length, so they are read past `Env`'s disk.

use std::io;

/// Ticks of a second in /proc/PID/stat: USER_HZ, which is 100 wherever Rust's std supports Linux.
const TICKS_PER_SECOND: f64 = 100.0;

/// What the process uses now, and has used since it started.
#[derive(Debug, Clone, Copy, PartialEq)]
pub(crate) struct Usage {
    pub(crate) cpu_seconds: f64,
    pub(crate) resident_bytes: u64,
    pub(crate) virtual_bytes: u64,
    pub(crate) threads: u64,
    pub(crate) started_seconds: f64,
    pub(crate) files_open: Option<u64>,
    pub(crate) files_max: Option<u64>,
}

impl Usage {
    /// Reads it. Blocks for microseconds.
    pub(crate) fn read() -> io::Result<Self> {
        let (stat, status, boot) =
            (read("/proc/self/stat")?, read("/proc/self/status")?, read("/proc/stat")?);
        let limits = read("/proc/self/limits").unwrap_or_default();
        let usage = Self::parse(&stat, &status, &boot, &limits).ok_or(io::ErrorKind::InvalidData)?;
        Ok(Self { files_open: files_open().ok(), ..usage })
    }

    /// Fields of /proc/PID/stat are counted after the name, which is in parentheses and may hold anything. Source: proc(5).
    fn parse(stat: &str, status: &str, boot: &str, limits: &str) -> Option<Self> {
        let (_, fields) = stat.rsplit_once(") ")?;
        let field = |number: usize| fields.split(' ').nth(number - 3)?.parse::<u64>().ok();
        let ticks = field(14)? + field(15)?;
        let booted: u64 = boot.lines().find_map(|line| line.strip_prefix("btime "))?.trim().parse().ok()?;
        let most = limits.lines().find_map(|line| line.strip_prefix("Max open files"));
        Some(Self {
            cpu_seconds: ticks as f64 / TICKS_PER_SECOND,
            resident_bytes: kibibytes(status, "VmRSS:")?,
            virtual_bytes: kibibytes(status, "VmSize:")?,
            threads: field(20)?,
            started_seconds: booted as f64 + field(22)? as f64 / TICKS_PER_SECOND,
            files_open: None,
            files_max: most.and_then(|rest| rest.split_whitespace().next()?.parse().ok()),
        })
    }
}

#[expect(
    clippy::disallowed_methods,
    reason = "/proc is no disk: its files have no length, and a simulation has none"
)]
fn read(path: &str) -> io::Result<String> {
    std::fs::read_to_string(path)
}

#[expect(clippy::disallowed_methods, reason = "as above")]
fn files_open() -> io::Result<u64> {
    // The one that the folder is read by is not counted.
    Ok((std::fs::read_dir("/proc/self/fd")?.count() as u64).saturating_sub(1))
}

fn kibibytes(status: &str, name: &str) -> Option<u64> {
    let line = status.lines().find_map(|line| line.strip_prefix(name))?;
    line.trim().strip_suffix("kB")?.trim().parse::<u64>().ok()?.checked_mul(1024)
}

#[cfg(test)]
mod tests {
    use super::Usage;

    #[test]
    fn names_with_parentheses_and_spaces_do_not_shift_fields() {
        let stat = "7 (a) b (c)) S 1 7 7 0 -1 4194560 100 0 0 0 250 50 9 9 20 0 3 0 500 1 1";
        let status = "Name:\tx\nVmSize:\t    2048 kB\nVmRSS:\t    1024 kB\n";
        let limits = "Limit  Soft Limit  Hard Limit  Units\nMax open files            1024                 4096                 files\n";
        let usage = Usage::parse(stat, status, "cpu 1 2\nbtime 1000\n", limits);
        let expected = Usage {
            cpu_seconds: 3.0,
            resident_bytes: 1 << 20,
            virtual_bytes: 2 << 20,
            threads: 3,
            started_seconds: 1005.0,
            files_open: None,
            files_max: Some(1024),
        };
        assert_eq!(usage, Some(expected));
        assert_eq!(Usage::parse("7 (a) S 1", status, "btime 1000", limits), None);
    }

    #[test]
    fn our_own_process_can_be_read() {
        let usage = Usage::read().unwrap();
        assert!(usage.resident_bytes > 0 && usage.virtual_bytes >= usage.resident_bytes);
        assert!(usage.threads > 0 && usage.started_seconds > 1e9);
        assert!(usage.files_open.unwrap() > 0 && usage.files_max.unwrap() >= usage.files_open.unwrap());
    }
}
