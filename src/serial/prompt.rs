//! Whether somebody would have to type: the console ends in a question, and the guest does nothing but wait for the answer.
//!
//! A false alarm ends a run that would have passed, so all of these must hold at once, each against its own mistake: the line
//! has no end and looks like a question (a service that is being started leaves one open, too); it stands unchanged (a boot
//! menu that counts down prints); it names no time after which things go on by themselves; no disk is read or written, and
//! the virtual CPUs neither run nor want to (a slow step works, or is kept from working by a loaded host). Before the
//! kernel has spoken most questions have a time limit that is not told, so there the line must stand for much longer.

use std::collections::VecDeque;
use std::sync::LazyLock;
use std::time::{Duration, Instant};

use regex::Regex;

use super::splitter::Splitter;
use crate::text::Untrusted;

/// How long a question must stand before the guest is looked at.
pub const STANDS_MIN: Duration = Duration::from_millis(500);
/// How long the guest must be idle while it stands. A wait is no longer on a slow host, so no accelerator scales it.
pub const IDLE_WINDOW: Duration = Duration::from_secs(3);
/// How long a question must stand if the kernel has not spoken: boot loaders mostly go on by themselves before.
pub const STANDS_BEFORE_KERNEL: Duration = Duration::from_secs(60);
/// What all virtual CPUs together may use of one host CPU while they count as idle, in percent.
pub const BUSY_PERCENT_MAX: u128 = 15;
/// Samples that are kept: the window and some more, at the pace at which they are taken.
const SAMPLES_MAX: usize = 16;
/// Length of a line that is looked at, in bytes. Questions are short.
const QUESTION_BYTES_MAX: usize = 1024;

/// How a question ends: with `?`, `:`, or its choices or hints in brackets.
static ENDS_AS_QUESTION: LazyLock<Regex> = LazyLock::new(|| constant(r"[?:\])]\s*$"));
/// Or it tells which key to press.
static ASKS_FOR_KEY: LazyLock<Regex> =
    LazyLock::new(|| constant(r"(?i)\b(press|hit)\b.*\b(any key|a key|enter|return|space)\b"));
/// What looks like a question and is none: a step that goes on, its outcome, the kernel's own lines, a login prompt, a
/// console that is free for whoever wants it.
static IS_NO_QUESTION: LazyLock<Regex> = LazyLock::new(|| {
    constant(
        r"(?xi) ^\W*\w+ing\b[^?]*$ | \.\.\.?\s*[\])]?\s*$ | ^\s*<?\d*>?\[\s*\d+\.\d+\] | \[\s*(ok|done|fail(ed)?|warn(ing)?|info|\*[\s*]*|[\s*]*\*)\s*\]\s*$
        | \b(login|user(\s?name)?)\s*:\s*$ | activate\ this\ console",
    )
});
/// What goes on by itself.
static NAMES_A_TIME: LazyLock<Regex> =
    LazyLock::new(|| constant(r"(?i)\b\d+\s*(s|secs?|seconds?|min|minutes?)\b|\btime-?out\b|\bautomatic|\bautoboot\b"));

fn constant(pattern: &str) -> Regex {
    Regex::new(pattern).expect("the expression is a constant that a test uses")
}

/// The line at the console's end that has not ended.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct OpenLine {
    /// Its text, printable.
    pub text: Untrusted,
    /// Offset in the raw stream of its first byte.
    pub offset: u64,
}

impl OpenLine {
    /// The open line of a stream whose last bytes are `bytes`, from raw offset `from` on.
    pub fn of(bytes: &[u8], from: u64) -> Option<Self> {
        let mut splitter = Splitter::default();
        splitter.feed(bytes, |_| {});
        let line = splitter.tail()?;
        Some(Self {
            text: Untrusted::new(line.text),
            offset: from + line.raw_offset(0),
        })
    }

    /// True if it looks like a question that waits for an answer, for ever.
    pub fn asks(&self) -> bool {
        let bytes = self.text.as_bytes();
        bytes.len() <= QUESTION_BYTES_MAX && std::str::from_utf8(bytes).is_ok_and(asks)
    }
}

fn asks(text: &str) -> bool {
    let shape = ENDS_AS_QUESTION.is_match(text) || ASKS_FOR_KEY.is_match(text);
    shape && text.chars().any(char::is_alphabetic) && !IS_NO_QUESTION.is_match(text) && !NAMES_A_TIME.is_match(text)
}

/// What the guest had done when it was looked at.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Sample {
    /// When it was looked at.
    pub at: Instant,
    /// How long the console had been silent.
    pub silent: Duration,
    /// How many bytes the console had written.
    pub console_bytes: u64,
    /// How many operations all block devices had ended.
    pub block_operations: u64,
    /// How long the virtual CPUs had run, or had been ready to run, in all.
    pub busy: Duration,
}

/// Looks at samples that were taken while a question stands on the console.
#[derive(Debug, Clone, Default)]
pub struct PromptDetector {
    samples: VecDeque<Sample>,
    /// The end of the question that was told already.
    told: Option<u64>,
}

impl PromptDetector {
    /// Takes in a sample; true if the guest does nothing but wait, and has waited for `stands_min` with this question on the
    /// console. True once for each question.
    pub fn observe(&mut self, sample: Sample, stands_min: Duration) -> bool {
        let same = |before: &Sample| {
            before.console_bytes == sample.console_bytes && before.block_operations == sample.block_operations
        };
        if !self.samples.back().is_some_and(same) {
            self.samples.clear();
        }
        if self.samples.len() == SAMPLES_MAX {
            self.samples.pop_front();
        }
        self.samples.push_back(sample);
        let idle = self.samples.iter().any(|first| is_idle_since(first, &sample));
        let tell = idle && sample.silent >= stands_min && self.told != Some(sample.console_bytes);
        if tell {
            self.told = Some(sample.console_bytes);
        }
        tell
    }
}

fn is_idle_since(first: &Sample, last: &Sample) -> bool {
    let span = last.at.saturating_duration_since(first.at);
    let busy = last.busy.saturating_sub(first.busy);
    span >= IDLE_WINDOW && busy.as_micros() * 100 <= span.as_micros() * BUSY_PERCENT_MAX
}

#[cfg(test)]
mod tests {
    use super::*;
    use proptest::prelude::*;

    #[test]
    fn questions_are_told_from_other_open_lines() {
        for text in [
            "Proceed? [y/N] ",
            "Select keyboard layout [us]: ",
            "Please enter passphrase for disk root (luks-1): (press TAB for no echo) ",
            "Enter hostname:",
            "Overwrite /dev/vda (y/n)",
            "Do you want to continue?",
            "Press Enter to continue",
            "Press any key to continue . . . ",
            "Retype new password: ",
            "Continue installing anyway? [y/N] ",
            "Choose a disk (1-3): ",
        ] {
            assert!(asks(text), "{text}");
        }
        for text in [
            "live login: ",
            "Username: ",
            "Starting sshd: ",
            "Bringing up interface eth0: ",
            "Waiting for root device...",
            "Checking file systems (fsck) ... [",
            "[   12.345678] EXT4-fs (vda1): ",
            "<6>[    1.0] usb 1-1:",
            "Starting network (eth0)",
            "Mounting disks: [  OK  ]",
            "disk check [  OK  ]",
            "root@live:~# ",
            "grub> ",
            "(initramfs) x",
            "Please press Enter to activate this console. ",
            "Press any key to stop autoboot: ",
            "Continue? (default yes in 10 seconds) ",
            "Boot in 5 s: ",
            "Loading, please wait...",
            " 42%:",
            "  : ",
            "",
        ] {
            assert!(!asks(text), "{text}");
        }
    }

    #[test]
    fn the_open_line_is_found_with_its_place() {
        let line = OpenLine::of(b"one\r\n\x1b[1mProceed? ", 100).unwrap();
        assert_eq!((line.text.as_bytes(), line.offset), (&b"Proceed? "[..], 109));
        assert!(line.asks());
        assert_eq!(OpenLine::of(b"Proceed? [y/N]\r\n", 0), None);
        let long = [b"x".repeat(QUESTION_BYTES_MAX), b"?".to_vec()].concat();
        assert!(!OpenLine::of(&long, 0).unwrap().asks());
    }

    fn sample(origin: Instant, at_ms: u64, busy_ms: u64) -> Sample {
        Sample {
            at: origin + Duration::from_millis(at_ms),
            silent: STANDS_MIN + Duration::from_millis(at_ms),
            console_bytes: 10,
            block_operations: 5,
            busy: Duration::from_millis(busy_ms),
        }
    }

    /// When it is told, in ms, for samples every half second of a guest that is busy for so many ms in each.
    fn told_at_ms(busy_ms: impl Fn(u64) -> u64, stands_min: Duration) -> Option<u64> {
        let (origin, mut detector, mut busy) = (Instant::now(), PromptDetector::default(), 0);
        (0..200).map(|n| n * 500).find(|at_ms| {
            busy += busy_ms(*at_ms);
            detector.observe(sample(origin, *at_ms, busy), stands_min)
        })
    }

    #[test]
    fn it_is_told_after_the_window_and_not_before() {
        assert_eq!(told_at_ms(|_| 0, STANDS_MIN), Some(3_000));
        assert_eq!(told_at_ms(|_| 70, STANDS_MIN), Some(3_000));
        assert_eq!(told_at_ms(|_| 80, STANDS_MIN), None, "16 % is work");
        assert_eq!(
            told_at_ms(|at| if at < 2_000 { 500 } else { 0 }, STANDS_MIN),
            Some(4_500)
        );
        assert_eq!(told_at_ms(|_| 0, STANDS_BEFORE_KERNEL), Some(59_500));
    }

    #[test]
    fn it_is_told_once() {
        let (origin, mut detector) = (Instant::now(), PromptDetector::default());
        let told = (0..50).filter(|n| detector.observe(sample(origin, n * 500, 0), STANDS_MIN));
        assert_eq!(told.count(), 1);
    }

    proptest! {
        #![proptest_config(ProptestConfig::with_cases(500))]

        /// Told only if, over at least the window before it, nothing was written, no disk was used, and the CPUs were idle.
        #[test]
        fn never_told_of_a_guest_that_does_something(
            steps in proptest::collection::vec((100u64..2_000, 0u64..3, 0u64..4, 0u64..200), 1..60),
        ) {
            let (origin, mut detector) = (Instant::now(), PromptDetector::default());
            let (mut at_ms, mut seen): (u64, Vec<Sample>) = (0, Vec::new());
            for (pause_ms, writes, operations, busy_ms) in steps {
                at_ms += pause_ms;
                let last = seen.last().copied().unwrap_or(sample(origin, 0, 0));
                let next = Sample {
                    at: origin + Duration::from_millis(at_ms),
                    console_bytes: last.console_bytes + writes / 2,
                    block_operations: last.block_operations + operations / 3,
                    busy: last.busy + Duration::from_millis(busy_ms.min(pause_ms)),
                    ..last
                };
                seen.push(next);
                if detector.observe(next, STANDS_MIN) {
                    let calm = seen.iter().any(|first| {
                        let span = next.at - first.at;
                        span >= IDLE_WINDOW
                            && first.console_bytes == next.console_bytes
                            && first.block_operations == next.block_operations
                            && next.busy.saturating_sub(first.busy).as_micros() * 100 <= span.as_micros() * BUSY_PERCENT_MAX
                    });
                    prop_assert!(calm);
                }
            }
        }
    }
}
