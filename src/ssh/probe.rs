//! One full login, from the connection to a command that names the boot and the machine.

use std::time::Instant;

use tokio::io::empty;
use tokio::time::timeout;
use uuid::Uuid;

use super::client::Session;
use super::exec::{ExecError, Reply};
use super::greeting::{Greeted, greet};
use super::hostkey::HostKeyPin;
use super::login::{Login, PhaseTimes};
use super::outcome::{BootId, ExecFailure, Facts, ProbeOutcome};
use super::shell::{FACTS, answer, command_line};
use crate::text::Untrusted;

/// Bytes kept of an answer that names no boot.
const OUTPUT_BYTES_MAX: usize = 256;

/// One attempt to log in.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Probe {
    /// What it came to.
    pub outcome: ProbeOutcome,
    /// How long each phase took.
    pub phase_times: PhaseTimes,
    /// When it began.
    pub started_at: Instant,
}

/// Logs in, reads the facts, logs out. Ends within the sum of the deadlines of `login`.
///
/// `expected` is the UUID that the run gave its machine; a login elsewhere is `WrongMachine`. A user other than root
/// can't read the UUID, so that only the facts can say that the proof is missing.
pub async fn probe(login: &Login, pin: &HostKeyPin, expected: Option<Uuid>) -> Probe {
    let started_at = Instant::now();
    let mut phase_times = PhaseTimes::default();
    let result = Session::connect(login, pin, expected, &mut phase_times).await;
    let outcome = match result {
        Ok((session, facts)) => {
            session.close().await;
            ProbeOutcome::LoggedIn(facts)
        }
        Err(outcome) => outcome,
    };
    Probe {
        outcome,
        phase_times,
        started_at,
    }
}

impl Session {
    /// Logs in and reads the facts; the session stays open for commands.
    pub async fn connect(
        login: &Login,
        pin: &HostKeyPin,
        expected: Option<Uuid>,
        times: &mut PhaseTimes,
    ) -> Result<(Self, Facts), ProbeOutcome> {
        let greeted = greet(login, times).await?;
        Self::enter(greeted, login, pin, expected, times).await
    }

    /// The part of [`Session::connect`] behind the server's identification line.
    pub(super) async fn enter(
        greeted: Greeted,
        login: &Login,
        pin: &HostKeyPin,
        expected: Option<Uuid>,
        times: &mut PhaseTimes,
    ) -> Result<(Self, Facts), ProbeOutcome> {
        let session = Self::log_in(greeted, login, pin, times).await?;
        let reply = session.ask_facts(times).await.map_err(|error| exec_outcome(&error))?;
        let facts = session.facts(&reply)?;
        match (expected, facts.uuid) {
            (Some(expected), Some(found)) if expected != found => Err(ProbeOutcome::WrongMachine { expected, found }),
            _ => Ok((session, facts)),
        }
    }

    async fn ask_facts(&self, times: &mut PhaseTimes) -> Result<Reply, ExecError> {
        let began = Instant::now();
        let channel = self.open().await?;
        times.open = Some(began.elapsed());
        let began = Instant::now();
        let limit = self.deadlines.exec;
        let asked = self.call_on(channel, command_line(FACTS, &[]), empty(), limit, |_| false);
        let reply = timeout(limit, asked).await.unwrap_or(Err(ExecError::Silent(limit)))?;
        times.exec = Some(began.elapsed());
        Ok(reply)
    }

    fn facts(&self, reply: &Reply) -> Result<Facts, ProbeOutcome> {
        let said = |word| answer(&reply.stdout, word)?.first()?.parse::<Uuid>().ok();
        let Some(boot_id) = said("boot") else {
            return Err(ProbeOutcome::ExecFailed(match reply.status {
                Some(status) if status != 0 => ExecFailure::Status(status),
                _ => ExecFailure::NoBootId {
                    output: Untrusted::new(&reply.stdout[..reply.stdout.len().min(OUTPUT_BYTES_MAX)]),
                },
            }));
        };
        Ok(Facts {
            boot_id: BootId(boot_id),
            uuid: said("uuid"),
            host_key: self.host_key.clone(),
            server_banner: self.banner.clone(),
        })
    }
}

fn exec_outcome(error: &ExecError) -> ProbeOutcome {
    match error {
        ExecError::Refused => ProbeOutcome::ExecRefused,
        ExecError::Silent(_) => ProbeOutcome::ExecFailed(ExecFailure::Silent),
        ExecError::Lost(_) | ExecError::Source(_) => ProbeOutcome::ExecFailed(ExecFailure::Closed),
    }
}
