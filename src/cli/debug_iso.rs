//! `bootgate debug-iso`: an image to test, made of the image to publish.

use std::fmt::Write as _;
use std::io::{self, Read as _};
use std::path::{Path, PathBuf};
use std::process::ExitCode;

use clap::Args;
use sha_crypt::{PasswordHasher as _, ShaCrypt};

use crate::evidence::DRAFT_PREFIX;
use crate::image::{DebugLogin, DebugMade, DebugRequest, ImageError, debug_iso};
use crate::machine::{StopSignal, Verdict};
use crate::plan::Secret;
use crate::ssh::MadeKey;
use crate::text::terminal_line;

use super::{run, say};

/// The largest key or password file that is read, in bytes.
const LOGIN_BYTES_MAX: u64 = 64 * 1024;
/// How much of a path or a sentence is shown, in characters.
const CHARS_MAX: usize = 300;

/// Make a debug image of a production ISO: the same, with its SSH server started and one login for it.
///
/// The squashfs of the live system is repacked with these changes and nothing else, and the image is rebuilt around it with
/// the boot loaders' records that it has. `OUTPUT.json` records both digests and every change. Unless it is given one, the
/// command makes a key for this image alone and writes it to `OUTPUT.key`. Nobody needs to be root.
#[derive(Debug, Args)]
#[command(
    after_help = "Example:\n  bootgate debug-iso live.iso -o live-debug.iso\n  bootgate debug-iso live.iso -o live-debug.iso --user live --authorized-key ci.pub"
)]
pub(super) struct DebugIso {
    /// The production ISO. It is only read.
    production: PathBuf,
    /// Where the debug ISO goes.
    #[arg(long, short, value_name = "FILE")]
    output: PathBuf,
    /// Who may log in.
    #[arg(long, value_name = "USER", default_value = "root", value_parser = user_name)]
    user: String,
    /// Let this public key in, in place of one that is made for this image.
    #[arg(long, value_name = "FILE", conflicts_with_all = ["password", "password_file"])]
    authorized_key: Option<PathBuf>,
    /// Let a password in, made for this image and written to `OUTPUT.password`.
    #[arg(long, conflicts_with = "password_file")]
    password: bool,
    /// Let the password in that is the file's first line.
    #[arg(long, value_name = "FILE")]
    password_file: Option<PathBuf>,
    /// The squashfs of the live system, by its path in the ISO. Default: the one that live systems are known to have, or the
    /// only one.
    #[arg(long, value_name = "PATH")]
    squashfs: Option<String>,
    /// Replace the output if it exists.
    #[arg(long)]
    force: bool,
    /// Print the record as JSON.
    #[arg(long)]
    json: bool,
}

/// A name that is a file's name as well, and needs no quotes anywhere.
fn user_name(text: &str) -> Result<String, String> {
    let is_plain = |c: char| c.is_ascii_alphanumeric() || "._-".contains(c);
    if text.is_empty() || text.len() > 32 || text.starts_with(['-', '.']) || !text.chars().all(is_plain) {
        return Err("not the name of a user: letters, digits, `.`, `_` and `-`, at most 32".to_owned());
    }
    Ok(text.to_owned())
}

impl DebugIso {
    pub(super) fn execute(self) -> ExitCode {
        let (login, keep) = match self.login() {
            Ok(login) => login,
            Err(problem) => {
                say::tell(format_args!("error: {problem}"));
                return ExitCode::from(Verdict::EXIT_USAGE);
            }
        };
        let name = self
            .output
            .file_name()
            .unwrap_or_default()
            .to_string_lossy()
            .into_owned();
        let draft = format!("{DRAFT_PREFIX}{name}-{}", uuid::Uuid::new_v4().simple());
        let request = DebugRequest {
            production: self.production,
            work: self.output.with_file_name(draft),
            output: self.output,
            squashfs: self.squashfs,
            user: self.user,
            login,
            keep,
            force: self.force,
        };
        let json = self.json;
        match make(request, json) {
            Ok(Ok(made)) if json => match serde_json::to_string_pretty(&made.record) {
                Ok(text) => say::answer(text + "\n"),
                Err(_) => ExitCode::from(Verdict::EXIT_INTERNAL),
            },
            Ok(Ok(made)) => say::answer(told(&made)),
            Ok(Err(error)) => {
                tell(&error);
                exit_of(&error)
            }
            Err(code) => code,
        }
    }

    /// The login, and what is to be kept beside the image.
    #[allow(clippy::type_complexity, reason = "it has one caller")]
    fn login(&self) -> Result<(DebugLogin, Option<(&'static str, Secret)>), String> {
        if let Some(path) = &self.authorized_key {
            return Ok((DebugLogin::Key(public_key(&first_line(path)?, path)?), None));
        }
        if let Some(path) = &self.password_file {
            let password = first_line(path)?;
            if password.is_empty() {
                return Err(format!("the first line of `{}` is empty", path.display()));
            }
            return Ok((DebugLogin::PasswordHash(hashed(&password)?), None));
        }
        if self.password {
            let password = uuid::Uuid::new_v4().simple().to_string();
            let login = DebugLogin::PasswordHash(hashed(&password)?);
            return Ok((login, Some(("password", Secret::new(password + "\n")))));
        }
        let key = MadeKey::make("bootgate-debug")?;
        let private = key.private()?;
        Ok((DebugLogin::Key(key.public), Some(("key", private))))
    }
}

fn first_line(path: &Path) -> Result<String, String> {
    let problem = |error: std::io::Error| format!("`{}` can't be read: {error}", path.display());
    let file = std::fs::File::open(path).map_err(problem)?;
    let mut text = String::new();
    file.take(LOGIN_BYTES_MAX).read_to_string(&mut text).map_err(problem)?;
    Ok(text.lines().next().unwrap_or_default().to_owned())
}

fn public_key(line: &str, path: &Path) -> Result<String, String> {
    let is_key = ["ssh-", "ecdsa-", "sk-"].iter().any(|kind| line.starts_with(kind));
    let is_plain = !line.contains(char::is_control) && line.split_whitespace().count() >= 2;
    if is_key && is_plain {
        return Ok(line.trim().to_owned());
    }
    let hint = if line.starts_with("-----BEGIN") {
        "it is a private key; the public one is needed (FILE.pub)"
    } else {
        "its first line is no key in OpenSSH's form, such as `ssh-ed25519 AAAA…`"
    };
    Err(format!("`{}` is not a public key: {hint}", path.display()))
}

/// The password as `/etc/shadow` keeps it: `$6$`, which every libcrypt in use reads.
fn hashed(password: &str) -> Result<String, String> {
    // Sixteen characters of salt, as many as `crypt(5)` takes.
    let salt = &uuid::Uuid::new_v4().into_bytes()[..12];
    let hash = ShaCrypt::SHA512.hash_password_with_salt(password.as_bytes(), salt);
    hash.map(|hash| hash.to_string())
        .map_err(|error| format!("the password can't be hashed: {error}"))
}

/// Makes the image; a signal ends it and leaves nothing behind.
fn make(request: DebugRequest, json: bool) -> Result<Result<DebugMade, ImageError>, ExitCode> {
    let (runtime, mut signals) = run::begin().map_err(|error| {
        say::tell(format_args!("error: the runtime can't be started: {error}"));
        ExitCode::from(Verdict::EXIT_INTERNAL)
    })?;
    let work = request.work.clone();
    let made = runtime.block_on(async {
        let mut step = move |text: &str| {
            if !json {
                say::tell(format_args!("· {text}"));
            }
        };
        let task = tokio::task::spawn_blocking(move || debug_iso(&request, &mut step));
        tokio::select! {
            made = task => made.map_err(|_| ExitCode::from(Verdict::EXIT_INTERNAL)),
            signal = signals.next() => {
                let _ = std::fs::remove_dir_all(&work);
                say::tell(format_args!("stopped by {}; nothing was written", signal.name()));
                Err(ExitCode::from(exit_of_signal(signal)))
            }
        }
    });
    // Its programs end when their pipes break.
    runtime.shutdown_background();
    made
}

fn exit_of_signal(signal: StopSignal) -> u8 {
    match signal {
        StopSignal::Interrupt => 130,
        StopSignal::Terminate => 143,
        StopSignal::HangUp => 129,
    }
}

fn told(made: &DebugMade) -> String {
    let record = &made.record;
    let clean = |text: &str| terminal_line(text, CHARS_MAX);
    let mut text = format!("{}\n", made.image.display());
    let mut line = |label: &str, value: String| {
        let _ = writeln!(text, "  {label:<11} {value}");
    };
    line("sha256", record.debug.sha256.to_string());
    line(
        "made from",
        format!(
            "{}, sha256 {}",
            clean(&record.production.file),
            record.production.sha256
        ),
    );
    line(
        "server",
        format!("{} in {}", clean(&record.server), clean(&record.squashfs)),
    );
    let login = match &made.login_file {
        Some(path) => format!("{} by the {} in {}", record.login.user, record.login.by, path.display()),
        None => format!("{} by the {} that was given", record.login.user, record.login.by),
    };
    line("login", login);
    for change in &record.changes {
        line("changed", clean(&format!("{}: {}", change.path, change.what)));
    }
    line(
        "unchanged",
        format!("{} files, directories and links", record.entries_kept),
    );
    for note in &record.notes {
        line("note", clean(note));
    }
    line("record", made.record_path.display().to_string());
    text
}

/// Tells a person what is wrong with an image.
pub(super) fn tell(error: &ImageError) {
    let problem = terminal_line(error.to_string(), 3 * CHARS_MAX);
    say::tell(format_args!(
        "error: {problem}\n  help: {}",
        terminal_line(error.mend(), 3 * CHARS_MAX)
    ));
}

/// The exit code of an image that can't be worked on: the caller's fault, the host's, or the image's.
pub(super) fn exit_of(error: &ImageError) -> ExitCode {
    ExitCode::from(match error {
        ImageError::NotThisSquashfs { .. }
        | ImageError::SeveralSquashfs { .. }
        | ImageError::DebugAlready(_)
        | ImageError::NoUser(_)
        | ImageError::Exists(_)
        | ImageError::NotAnIso { .. }
        | ImageError::SameFile(_) => Verdict::EXIT_USAGE,
        ImageError::Io { error, .. } if error.kind() == io::ErrorKind::NotFound => Verdict::EXIT_USAGE,
        ImageError::ToolMissing { .. } | ImageError::Io { .. } | ImageError::Space { .. } => 4,
        ImageError::NoSquashfs { .. } | ImageError::NestedImage { .. } | ImageError::NoSshd(_) => 5,
        ImageError::PatchedNothing | ImageError::NotAsPlanned(_) => Verdict::EXIT_INTERNAL,
        ImageError::ToolFailed { .. } | ImageError::Implausible(_) | ImageError::Truncated { .. } => 1,
    })
}

#[cfg(test)]
mod tests {
    use super::*;
    use sha_crypt::PasswordVerifier as _;

    #[test]
    fn passwords_are_hashed_as_crypt_does_and_never_twice_the_same() {
        let (one, other) = (hashed("secret").unwrap(), hashed("secret").unwrap());
        assert_ne!(one, other);
        let fields: Vec<_> = one.split('$').collect();
        assert_eq!((fields[1], fields[3].len()), ("6", 16));
        assert!(ShaCrypt::SHA512.verify_password(b"secret", one.as_str()).is_ok());
        assert!(ShaCrypt::SHA512.verify_password(b"other", one.as_str()).is_err());
    }

    #[test]
    fn only_public_keys_and_plain_names_are_taken() {
        let path = Path::new("k");
        assert!(public_key("ssh-ed25519 AAAA me", path).is_ok());
        assert!(
            public_key("-----BEGIN OPENSSH PRIVATE KEY-----", path)
                .unwrap_err()
                .contains("private")
        );
        assert!(public_key("ssh-ed25519", path).is_err());
        assert!(user_name("live").is_ok());
        for bad in ["", "../root", "a b", "-x", "a%u"] {
            assert!(user_name(bad).is_err(), "{bad}");
        }
    }
}
