//! When an SSH server counts as stable: enough full logins in a row, over a long enough time, in one boot. Pure.

use std::collections::BTreeMap;
use std::time::{Duration, Instant};

use super::outcome::{BootId, ProbeClass, ProbeSummary};

/// What makes a server stable.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash)]
pub struct StabilityRule {
    /// Full logins in a row, all in one boot. 0 counts as 1.
    pub logins: u32,
    /// The time that must lie between the first and the last of them.
    pub window: Duration,
}

/// How far a server has come.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash)]
pub struct Progress {
    /// Full logins in a row so far.
    pub streak: u32,
    /// When the first login of the row was seen.
    pub since: Option<Instant>,
    /// True if the rule is met by the row that ends with the last probe.
    pub stable: bool,
    /// How often a row was broken: by a failure, or by another boot.
    pub flaps: u32,
}

/// The logins seen since a boot began.
#[derive(Debug, Clone, PartialEq, Eq, Hash)]
pub struct Stability {
    rule: StabilityRule,
    streak: u32,
    since: Option<Instant>,
    boot: Option<BootId>,
    flaps: u32,
    rejections: u32,
    counts: BTreeMap<ProbeClass, u32>,
}

impl Stability {
    /// Nothing seen yet.
    pub fn new(rule: StabilityRule) -> Self {
        Self {
            rule,
            streak: 0,
            since: None,
            boot: None,
            flaps: 0,
            rejections: 0,
            counts: BTreeMap::new(),
        }
    }

    /// Takes in one probe that ended at `now`.
    pub fn observe(&mut self, now: Instant, probe: &ProbeSummary) -> Progress {
        let count = self.counts.entry(probe.class).or_default();
        *count = count.saturating_add(1);
        self.rejections = match probe.class {
            ProbeClass::AuthRejected => self.rejections.saturating_add(1),
            _ => 0,
        };
        match (probe.class, probe.boot_id) {
            (ProbeClass::LoggedIn, Some(boot)) => {
                if self.boot != Some(boot) {
                    self.break_row();
                }
                self.boot = Some(boot);
                self.since.get_or_insert(now);
                self.streak = self.streak.saturating_add(1);
            }
            _ => self.break_row(),
        }
        self.progress(now)
    }

    fn break_row(&mut self) {
        if self.streak > 0 {
            self.flaps = self.flaps.saturating_add(1);
        }
        self.streak = 0;
        self.since = None;
        self.boot = None;
    }

    fn progress(&self, now: Instant) -> Progress {
        let lasted = self.since.map(|since| now.saturating_duration_since(since));
        Progress {
            streak: self.streak,
            since: self.since,
            stable: self.streak >= self.rule.logins.max(1) && lasted >= Some(self.rule.window),
            flaps: self.flaps,
        }
    }

    /// How many probes ended in `class`.
    pub fn count(&self, class: ProbeClass) -> u32 {
        self.counts.get(&class).copied().unwrap_or(0)
    }

    /// The kind of failure that was seen most often; of equals the one that came furthest. `None`: no failure.
    pub fn dominant_class(&self) -> Option<ProbeClass> {
        self.counts
            .iter()
            .filter(|(class, _)| **class != ProbeClass::LoggedIn)
            .max_by_key(|(_, count)| **count)
            .map(|(class, _)| *class)
    }

    /// True if anything behind the forward ever sent a byte.
    pub fn ever_answered(&self) -> bool {
        self.counts.keys().any(|class| class.answered())
    }

    /// How many of the last probes were rejected in a row. A server may need a moment before it knows its users, but a
    /// wrong password stays wrong, and OpenSSH 9.8 and later shuts out a client that keeps trying.
    pub fn auth_rejections_in_a_row(&self) -> u32 {
        self.rejections
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use proptest::prelude::*;
    use uuid::Uuid;

    const RULE: StabilityRule = StabilityRule {
        logins: 3,
        window: Duration::from_secs(4),
    };

    fn login(boot: u128) -> ProbeSummary {
        ProbeSummary {
            class: ProbeClass::LoggedIn,
            boot_id: Some(BootId(Uuid::from_u128(boot))),
        }
    }

    fn failure(class: ProbeClass) -> ProbeSummary {
        ProbeSummary { class, boot_id: None }
    }

    fn run(steps: &[(u64, ProbeSummary)]) -> (Stability, Vec<Progress>) {
        let start = Instant::now();
        let mut stability = Stability::new(RULE);
        let seen = steps
            .iter()
            .map(|(at_s, probe)| stability.observe(start + Duration::from_secs(*at_s), probe))
            .collect();
        (stability, seen)
    }

    #[test]
    fn needs_both_the_row_and_the_window() {
        let (_, seen) = run(&[
            (0, login(1)),
            (1, login(1)),
            (2, login(1)),
            (3, login(1)),
            (4, login(1)),
        ]);
        assert_eq!(
            seen.iter().map(|p| p.stable).collect::<Vec<_>>(),
            [false, false, false, false, true]
        );
        let (_, seen) = run(&[(0, login(1)), (9, login(1)), (10, login(1))]);
        assert_eq!(seen.iter().map(|p| p.stable).collect::<Vec<_>>(), [false, false, true]);
    }

    #[test]
    fn another_boot_starts_a_new_row() {
        let (_, seen) = run(&[(0, login(1)), (5, login(1)), (6, login(2))]);
        assert_eq!((seen[2].streak, seen[2].stable, seen[2].flaps), (1, false, 1));
    }

    #[test]
    fn says_what_went_wrong_most() {
        let reset = failure(ProbeClass::ResetBeforeBanner);
        let (stability, _) = run(&[(0, failure(ProbeClass::SilentBeforeBanner)), (1, reset), (2, reset)]);
        assert_eq!(stability.dominant_class(), Some(ProbeClass::ResetBeforeBanner));
        assert!(!stability.ever_answered());
        let rejected = failure(ProbeClass::AuthRejected);
        let (stability, _) = run(&[(0, rejected), (1, login(1)), (2, rejected), (3, rejected)]);
        assert_eq!(stability.auth_rejections_in_a_row(), 2);
        assert!(stability.ever_answered());
        assert_eq!(run(&[(0, login(1))]).0.dominant_class(), None);
    }

    fn any_probe() -> impl Strategy<Value = ProbeSummary> {
        prop_oneof![
            4 => (0u128..2).prop_map(login),
            1 => proptest::sample::select(&ProbeClass::ALL[..16]).prop_map(failure),
        ]
    }

    proptest! {
        #![proptest_config(ProptestConfig::with_cases(1000))]

        /// Stable if and only if the probes since the last failure or change of boot meet the rule by themselves.
        #[test]
        fn never_stable_without_a_full_row(
            steps in proptest::collection::vec((0u64..3, any_probe()), 0..60),
        ) {
            let start = Instant::now();
            let mut stability = Stability::new(RULE);
            let (mut at_s, mut row): (u64, Vec<(u64, ProbeSummary)>) = (0, Vec::new());
            for (pause_s, probe) in steps {
                at_s += pause_s;
                if row.last().is_some_and(|(_, last)| last.boot_id != probe.boot_id) {
                    row.clear();
                }
                if probe.boot_id.is_some() {
                    row.push((at_s, probe));
                }
                let progress = stability.observe(start + Duration::from_secs(at_s), &probe);
                let met = row.len() >= 3 && at_s - row[0].0 >= 4;
                prop_assert_eq!(progress.stable, met);
                prop_assert_eq!(progress.streak as usize, row.len());
            }
        }
    }
}
