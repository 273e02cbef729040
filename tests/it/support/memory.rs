//! A process's memory, as the kernel counts it.

/// Resident bytes now, in KiB; nothing once the process has gone.
pub(crate) fn resident_kib(pid: u32) -> Option<u64> {
    field(pid, "VmRSS:")
}

/// The most resident bytes there ever were, in KiB.
pub(crate) fn peak_kib(pid: u32) -> Option<u64> {
    field(pid, "VmHWM:")
}

/// The most it ever kept in memory, in KiB, without the program's own pages: those are of the debug
/// build here, more than twice what is shipped.
pub(crate) fn own_peak_kib(pid: u32) -> Option<u64> {
    Some(peak_kib(pid)?.saturating_sub(field(pid, "RssFile:")?))
}

fn field(pid: u32, name: &str) -> Option<u64> {
    let status = std::fs::read_to_string(format!("/proc/{pid}/status")).ok()?;
    let line = status.lines().find_map(|line| line.strip_prefix(name))?;
    line.trim().strip_suffix(" kB")?.parse().ok()
}
