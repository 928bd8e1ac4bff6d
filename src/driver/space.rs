//! Watches what the host has left while a guest runs: the disks that the run writes to, and memory.
//!
//! No event says that a disk becomes full before it is; so it is asked, the more often the less is left and the faster it
//! goes.

use std::collections::BTreeSet;
use std::os::unix::fs::MetadataExt as _;
use std::path::{Path, PathBuf};
use std::time::{Duration, Instant};

use tokio::sync::mpsc;

use crate::machine::Event;
use crate::qemu::disk::free_bytes;
use crate::units::{ByteSize, GIB, MIB};

use super::input::{Input, VmInput};

/// How often a disk is asked at most and at least.
const LOOK_EVERY_MIN: Duration = Duration::from_millis(10);
const LOOK_EVERY_MAX: Duration = Duration::from_secs(1);
/// What a guest is believed to write in a second before more is seen: into the page cache, 1 GiB.
const WRITE_RATE_EXPECTED: u64 = GIB;
/// What stays free where the gate says nothing: this, or a share of what is free, whichever is less.
const RESERVE_BYTES_MAX: u64 = 256 * MIB;
const RESERVE_SHARE: u64 = 8;
/// All tasks of the host waited for memory for so much of the last ten seconds, in percent: then a guest is slow for it.
const MEMORY_STALL_PERCENT: u32 = 20;

/// Watches until the machine is gone, and tells once when a disk has no more than its reserve left.
pub(super) async fn watch(number: u64, places: Vec<PathBuf>, reserve: Option<ByteSize>, inputs: mpsc::Sender<Input>) {
    let mut gauges = gauges(&places, reserve);
    let mut memory_told = false;
    loop {
        let mut wait = LOOK_EVERY_MAX;
        for (place, gauge) in &mut gauges {
            // What can't be asked can't be watched; a write that fails is told by QEMU.
            let Ok(free) = free_bytes(place) else { continue };
            match gauge.look(Instant::now(), free) {
                Look::Again(after) => wait = wait.min(after),
                Look::Low => {
                    let event = gauge.event(place, free);
                    let _ = inputs.send(Input::Vm(number, VmInput::Host(event))).await;
                    return;
                }
            }
        }
        let pressure = std::fs::read_to_string("/proc/pressure/memory").unwrap_or_default();
        if let Some(percent) = stalled(&pressure).filter(|percent| *percent >= MEMORY_STALL_PERCENT && !memory_told) {
            memory_told = true;
            let event = Event::HostMemoryShort { percent };
            let _ = inputs.send(Input::Vm(number, VmInput::Host(event))).await;
        }
        tokio::time::sleep(wait).await;
    }
}

/// One gauge for each file system.
fn gauges(places: &[PathBuf], reserve: Option<ByteSize>) -> Vec<(PathBuf, Gauge)> {
    if reserve == Some(ByteSize(0)) {
        return Vec::new();
    }
    let mut devices = BTreeSet::new();
    let mut gauges = Vec::new();
    for place in places {
        let device = std::fs::metadata(place).map(|directory| directory.dev());
        if let (Ok(true), Ok(free)) = (device.map(|device| devices.insert(device)), free_bytes(place)) {
            let usual = RESERVE_BYTES_MAX.min(free / RESERVE_SHARE);
            // Where a link of the run leads, since that is where room is to be made.
            let place = place.canonicalize().unwrap_or_else(|_| place.clone());
            gauges.push((place, Gauge::new(reserve.map_or(usual, |reserve| reserve.0))));
        }
    }
    gauges
}

/// What a look at a disk came to.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
enum Look {
    /// There is room; look again then.
    Again(Duration),
    /// The reserve is reached, or would be before the next look.
    Low,
}

/// How fast one file system fills.
#[derive(Debug)]
struct Gauge {
    reserve_bytes: u64,
    last: Option<(Instant, u64)>,
    bytes_per_second: u64,
}

impl Gauge {
    fn new(reserve_bytes: u64) -> Self {
        Self {
            reserve_bytes,
            last: None,
            bytes_per_second: 0,
        }
    }

    fn look(&mut self, now: Instant, free: u64) -> Look {
        if let Some((before, had)) = self.last.replace((now, free)) {
            let written = u128::from(had.saturating_sub(free));
            let micros = now.saturating_duration_since(before).as_micros().max(1);
            self.bytes_per_second = u64::try_from(written * 1_000_000 / micros).unwrap_or(u64::MAX);
        }
        let margin = free.saturating_sub(self.reserve_bytes);
        if margin <= bytes_in(self.bytes_per_second, LOOK_EVERY_MIN) {
            return Look::Low;
        }
        // Half of the time in which the fastest writer could use up what is left.
        let fastest = WRITE_RATE_EXPECTED.max(self.bytes_per_second);
        let half = u128::from(margin) * 1_000_000 / u128::from(fastest) / 2;
        let half = Duration::from_micros(u64::try_from(half).unwrap_or(u64::MAX));
        Look::Again(half.clamp(LOOK_EVERY_MIN, LOOK_EVERY_MAX))
    }

    fn event(&self, place: &Path, free_bytes: u64) -> Event {
        Event::HostSpaceLow {
            place: place.display().to_string(),
            free_bytes,
            reserve_bytes: self.reserve_bytes,
            bytes_per_second: self.bytes_per_second,
        }
    }
}

fn bytes_in(bytes_per_second: u64, span: Duration) -> u64 {
    let bytes = u128::from(bytes_per_second) * span.as_micros() / 1_000_000;
    u64::try_from(bytes).unwrap_or(u64::MAX)
}

/// The whole percent of the last ten seconds in which every task waited for memory: `avg10` of the line `full` (Linux,
/// Documentation/accounting/psi.rst).
fn stalled(pressure: &str) -> Option<u32> {
    let line = pressure.lines().find_map(|line| line.strip_prefix("full "))?;
    let average = line
        .split_ascii_whitespace()
        .find_map(|word| word.strip_prefix("avg10="))?;
    average.split('.').next()?.parse().ok()
}

#[cfg(test)]
mod tests {
    use super::*;
    use proptest::prelude::*;

    #[test]
    fn pressure_is_read_as_the_kernel_writes_it() {
        let text = "some avg10=31.20 avg60=1.00 avg300=0.00 total=1\nfull avg10=22.75 avg60=0.50 avg300=0.00 total=1\n";
        assert_eq!(stalled(text), Some(22));
        assert_eq!(stalled(""), None);
        assert_eq!(stalled("full avg10=many"), None);
    }

    #[test]
    fn the_reserve_follows_the_gate_or_the_room_that_there_is() {
        let here = [std::env::temp_dir(), std::env::temp_dir()];
        let of = |reserve| gauges(&here, reserve).into_iter().map(|(_, gauge)| gauge.reserve_bytes);
        assert_eq!(
            of(Some(ByteSize(5 * MIB))).collect::<Vec<_>>(),
            [5 * MIB],
            "one file system, one gauge"
        );
        assert_eq!(of(Some(ByteSize(0))).count(), 0);
        assert!(of(None).all(|reserve| reserve <= RESERVE_BYTES_MAX));
    }

    #[test]
    fn a_disk_that_stays_as_it_is_is_asked_once_a_second() {
        let mut gauge = Gauge::new(256 * MIB);
        let start = Instant::now();
        for second in 0..5 {
            let look = gauge.look(start + Duration::from_secs(second), 40 * GIB);
            assert_eq!(look, Look::Again(LOOK_EVERY_MAX));
        }
        assert_eq!(gauge.look(start + Duration::from_secs(9), 256 * MIB), Look::Low);
    }

    proptest! {
        /// A writer of any speed up to the expected one is found with some of the reserve left.
        #[test]
        fn no_writer_passes_the_reserve(rate in 0..WRITE_RATE_EXPECTED, free_mib in 65u64..100_000, begins_ms in 0u64..3_000) {
            let (reserve, free) = (64 * MIB, free_mib * MIB);
            let mut gauge = Gauge::new(reserve);
            let start = Instant::now();
            let mut at = Duration::ZERO;
            let left = |at: Duration| {
                let writes = at.saturating_sub(Duration::from_millis(begins_ms));
                free.saturating_sub(bytes_in(rate, writes))
            };
            for _ in 0..100_000 {
                match gauge.look(start + at, left(at)) {
                    Look::Again(after) => at += after,
                    Look::Low => break,
                }
                if rate == 0 && at > Duration::from_secs(5) {
                    break;
                }
            }
            prop_assert!(left(at) >= reserve - bytes_in(rate, LOOK_EVERY_MIN), "{} left", ByteSize(left(at)));
        }
    }
}
