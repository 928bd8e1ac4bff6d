//! What `/proc` says about a process: its sockets, its files, its environment, its confinement.

use std::collections::BTreeMap;
use std::path::PathBuf;

/// The open files of a process, by number: where each leads to.
pub(crate) fn files(pid: u32) -> BTreeMap<u32, PathBuf> {
    let entries = std::fs::read_dir(format!("/proc/{pid}/fd")).unwrap().flatten();
    let file = |entry: std::fs::DirEntry| {
        let number = entry.file_name().to_str()?.parse().ok()?;
        Some((number, std::fs::read_link(entry.path()).ok()?))
    };
    entries.filter_map(file).collect()
}

/// A socket that waits for strangers.
#[derive(Debug, PartialEq, Eq, PartialOrd, Ord)]
pub(crate) struct Listener {
    pub(crate) is_loopback: bool,
    pub(crate) port: u16,
}

/// The lines of `/proc/net/TABLE` for the sockets of a process, as words. `inode` is the column that names a socket.
fn lines(pid: u32, table: &str, inode: usize) -> Vec<Vec<String>> {
    let files = files(pid);
    let name = |file: &PathBuf| Some(file.to_str()?.strip_prefix("socket:[")?.strip_suffix(']')?.to_owned());
    let inodes: Vec<String> = files.values().filter_map(name).collect();
    // A host without IPv6 has no table for it.
    let text = std::fs::read_to_string(format!("/proc/{pid}/net/{table}")).unwrap_or_default();
    let words = text
        .lines()
        .skip(1)
        .map(|line| line.split_whitespace().map(str::to_owned).collect::<Vec<_>>());
    words
        .filter(|words| words.get(inode).is_some_and(|word| inodes.contains(word)))
        .collect()
}

/// How many UNIX sockets a process has.
pub(crate) fn unix_sockets(pid: u32) -> usize {
    lines(pid, "unix", 6).len()
}

/// The TCP and UDP sockets of a process that others can reach.
pub(crate) fn listeners(pid: u32) -> Vec<Listener> {
    let mut found = Vec::new();
    for (table, waits) in [("tcp", "0A"), ("tcp6", "0A"), ("udp", "07"), ("udp6", "07")] {
        let waiting = lines(pid, table, 9).into_iter().filter(|words| words[3] == waits);
        found.extend(waiting.map(|words| listener(&words[1])));
    }
    found
}

/// `0100007F:A1B2`, see proc(5): the address as the host's own words in hexadecimal.
fn listener(local: &str) -> Listener {
    let (address, port) = local.split_once(':').unwrap();
    Listener {
        is_loopback: address == "0100007F" || address == "00000000000000000000000001000000",
        port: u16::from_str_radix(port, 16).unwrap(),
    }
}

/// A line of `/proc/<pid>/status`.
pub(crate) fn status(pid: u32, key: &str) -> String {
    let text = std::fs::read_to_string(format!("/proc/{pid}/status")).unwrap();
    let line = text.lines().find_map(|line| line.strip_prefix(key)?.strip_prefix(':'));
    line.unwrap_or_else(|| panic!("no {key} in {text}")).trim().to_owned()
}
