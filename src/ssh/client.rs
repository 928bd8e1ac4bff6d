//! An SSH connection that has logged in. The only file, with `exec`, that knows russh.

use std::borrow::Cow;
use std::io::ErrorKind;
use std::sync::{Arc, Mutex, PoisonError};
use std::time::Duration;

use russh::client::{AuthResult, DisconnectReason, Handle};
use russh::keys::{Algorithm, EcdsaCurve, HashAlg, PrivateKeyWithHashAlg, PublicKeyOrCertificate};
use russh::{AlgorithmKind, Disconnect};
use tokio::time::{Instant, timeout};

use super::greeting::{Greeted, Hangup};
use super::hostkey::{HostKey, HostKeyChanged, HostKeyPin};
use super::login::{Auth, KEEPALIVES_MAX, Login, PhaseDeadlines, PhaseTimes};
use super::outcome::{KexFailure, ProbeOutcome};
use crate::text::Untrusted;

/// Host (and client) keys that are used. Not RSA: the `rsa` crate has an advisory without a fix (RUSTSEC-2023-0071),
/// and without it russh would fail late and misleadingly.
pub(super) const HOST_KEY_ALGORITHMS: [Algorithm; 4] = [
    Algorithm::Ed25519,
    Algorithm::Ecdsa {
        curve: EcdsaCurve::NistP256,
    },
    Algorithm::Ecdsa {
        curve: EcdsaCurve::NistP384,
    },
    Algorithm::Ecdsa {
        curve: EcdsaCurve::NistP521,
    },
];

/// Bytes that a server may send on a channel before we take them.
const WINDOW_BYTES: u32 = 256 * 1024;
/// Messages of a channel that wait for us before reading from the network pauses. With packets of at most 32 KiB this
/// bounds the memory of a channel to about half a MiB.
const CHANNEL_MESSAGES_MAX: usize = 16;
/// Bytes kept of a list of algorithms that a server offers.
const OFFERED_BYTES_MAX: usize = 512;
/// How long a server may take to see our good-bye.
const GOODBYE: Duration = Duration::from_secs(1);
const CLOSED: &str = "the connection was closed";

/// A connection that has logged in. Dropping it ends the connection; what runs in the guest goes on.
pub struct Session {
    pub(super) handle: Handle<Guard>,
    pub(super) deadlines: PhaseDeadlines,
    pub(super) host_key: HostKey,
    pub(super) banner: Untrusted,
    notes: Arc<Mutex<Notes>>,
    _hangup: Hangup,
}

/// What russh's callbacks learned.
#[derive(Default)]
struct Notes {
    host_key: Option<HostKey>,
    changed: Option<HostKeyChanged>,
    ended: Option<String>,
}

/// russh's callbacks.
pub(super) struct Guard {
    pin: HostKeyPin,
    notes: Arc<Mutex<Notes>>,
}

fn lock(notes: &Mutex<Notes>) -> std::sync::MutexGuard<'_, Notes> {
    notes.lock().unwrap_or_else(PoisonError::into_inner)
}

impl russh::client::Handler for Guard {
    type Error = russh::Error;

    async fn check_server_key(&mut self, offered: &PublicKeyOrCertificate) -> Result<bool, russh::Error> {
        let (algorithm, fingerprint) = match offered {
            PublicKeyOrCertificate::PublicKey { key, .. } => (key.algorithm(), key.fingerprint(HashAlg::Sha256)),
            PublicKeyOrCertificate::Certificate(certificate) => (
                certificate.algorithm(),
                certificate.public_key().fingerprint(HashAlg::Sha256),
            ),
        };
        let offered = HostKey {
            algorithm: algorithm.as_str().to_owned(),
            fingerprint: fingerprint.to_string(),
        };
        let mut notes = lock(&self.notes);
        notes.changed = self.pin.check(&offered).err();
        notes.host_key = Some(offered);
        Ok(notes.changed.is_none())
    }

    async fn disconnected(&mut self, reason: DisconnectReason<russh::Error>) -> Result<(), russh::Error> {
        lock(&self.notes).ended = Some(match reason {
            DisconnectReason::ReceivedDisconnect(info) => format!("the server said good-bye ({:?})", info.reason_code),
            DisconnectReason::Error(russh::Error::KeepaliveTimeout) => {
                format!("{KEEPALIVES_MAX} requests for a sign of life were not answered")
            }
            DisconnectReason::Error(russh::Error::Disconnect | russh::Error::HUP) => CLOSED.into(),
            DisconnectReason::Error(russh::Error::IO(error)) if error.kind() == ErrorKind::UnexpectedEof => {
                CLOSED.into()
            }
            DisconnectReason::Error(error) => error.to_string(),
        });
        Ok(())
    }
}

fn config(deadlines: &PhaseDeadlines) -> russh::client::Config {
    russh::client::Config {
        window_size: WINDOW_BYTES,
        channel_buffer_size: CHANNEL_MESSAGES_MAX,
        keepalive_interval: Some(deadlines.keepalive),
        keepalive_max: KEEPALIVES_MAX,
        preferred: russh::Preferred {
            key: Cow::Borrowed(&HOST_KEY_ALGORITHMS),
            ..russh::Preferred::DEFAULT
        },
        ..russh::client::Config::default()
    }
}

impl Session {
    /// Exchanges keys and authenticates.
    pub(super) async fn log_in(
        greeted: Greeted,
        login: &Login,
        pin: &HostKeyPin,
        times: &mut PhaseTimes,
    ) -> Result<Self, ProbeOutcome> {
        let deadlines = login.deadlines;
        let notes = Arc::new(Mutex::new(Notes::default()));
        let guard = Guard {
            pin: pin.clone(),
            notes: notes.clone(),
        };
        let began = Instant::now();
        let kex = russh::client::connect_stream(Arc::new(config(&deadlines)), greeted.stream, guard);
        let mut handle = match timeout(deadlines.kex, kex).await {
            Ok(Ok(handle)) => handle,
            Ok(Err(error)) => return Err(kex_outcome(error, lock(&notes).changed.take())),
            Err(_) => return Err(ProbeOutcome::SilentInKex),
        };
        times.kex = Some(began.elapsed());

        let began = Instant::now();
        timeout(deadlines.auth, authenticate(&mut handle, login))
            .await
            .unwrap_or(Err(ProbeOutcome::AuthSilent))?;
        times.auth = Some(began.elapsed());
        // russh has asked for the key before it let the key exchange end.
        let host_key = lock(&notes).host_key.clone().ok_or(ProbeOutcome::ResetInKex)?;
        Ok(Self {
            handle,
            deadlines,
            host_key,
            banner: greeted.banner,
            notes,
            _hangup: greeted.hangup,
        })
    }

    /// Says good-bye, so that the guest's log shows no broken connection, and ends the connection.
    pub async fn close(self) {
        let goodbye = self.handle.disconnect(Disconnect::ByApplication, "", "en");
        if goodbye.await.is_ok() {
            // Whether the server still listened makes no difference.
            let _ = timeout(GOODBYE, self.handle).await;
        }
    }

    /// Why the connection ended, as far as it is known.
    pub(super) fn why_ended(&self) -> String {
        let noted = lock(&self.notes).ended.clone();
        noted.unwrap_or_else(|| CLOSED.to_owned())
    }
}

async fn authenticate(handle: &mut Handle<Guard>, login: &Login) -> Result<(), ProbeOutcome> {
    let answer = match &login.auth {
        Auth::Password(password) => handle.authenticate_password(&login.user, password.expose()).await,
        Auth::Key(key) => {
            let key = PrivateKeyWithHashAlg::new(key.0.clone(), None);
            handle.authenticate_publickey(&login.user, key).await
        }
    };
    match answer {
        Ok(AuthResult::Success) => Ok(()),
        // russh says "rejected, no method left" also when the connection ends.
        Ok(AuthResult::Failure { .. }) if handle.is_closed() => Err(ProbeOutcome::ClosedInAuth),
        Ok(AuthResult::Failure { remaining_methods, .. }) => Err(ProbeOutcome::AuthRejected {
            methods_left: remaining_methods.iter().map(Into::into).collect(),
        }),
        Err(_) => Err(ProbeOutcome::ClosedInAuth),
    }
}

fn kex_outcome(error: russh::Error, changed: Option<HostKeyChanged>) -> ProbeOutcome {
    if let Some(HostKeyChanged { pinned, offered }) = changed {
        return ProbeOutcome::HostKeyChanged { pinned, offered };
    }
    match error {
        russh::Error::NoCommonAlgo { kind, theirs, .. } => {
            let mut offered = theirs.join(",").into_bytes();
            offered.truncate(OFFERED_BYTES_MAX);
            ProbeOutcome::KexFailed(KexFailure::NothingInCommon {
                what: match kind {
                    AlgorithmKind::Kex => "key exchange",
                    AlgorithmKind::Key => "host key",
                    AlgorithmKind::Cipher => "cipher",
                    AlgorithmKind::Compression => "compression",
                    AlgorithmKind::Mac => "message authentication",
                },
                offered: Untrusted::new(offered),
            })
        }
        russh::Error::IO(_) | russh::Error::Disconnect | russh::Error::HUP | russh::Error::SendError => {
            ProbeOutcome::ResetInKex
        }
        other => ProbeOutcome::KexFailed(KexFailure::Protocol(other.to_string())),
    }
}
