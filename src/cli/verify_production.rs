//! `bootgate verify-production`: whether an image may be published, as far as its files can tell.

use std::fmt::Write as _;
use std::path::PathBuf;
use std::process::ExitCode;

use clap::Args;
use serde_json::json;

use crate::image::{AllowedEmpty, Check, Finding, Forbidden, Verification, VerifyOptions, verify};
use crate::text::{printable_json, terminal_line};

use super::{debug_iso, say};

/// How much of a sentence is shown, in characters.
const CHARS_MAX: usize = 300;

/// Prove by its files that a production ISO lets nobody in: no SSH server is started, no password is set, no key may log in,
/// nothing is left of a debug build.
///
/// Nothing is started, mounted or unpacked. What could not be looked at is a finding, too. Exit code 0: nothing was found; 1:
/// something was. The initial RAM disk and the boot loaders' own images are not looked into.
#[derive(Debug, Args)]
#[command(
    after_help = "Example:\n  bootgate verify-production live.iso\n  bootgate verify-production live.iso --forbid /etc/ci-token --forbid internal.example --json"
)]
pub(super) struct VerifyProduction {
    /// The ISO.
    image: PathBuf,
    /// A path (from a slash on) that must not be there, or a text that must not be in any file below `/etc`, in any unit or in
    /// any boot loader's configuration.
    #[arg(long, value_name = "TEXT|PATH", value_parser = forbidden)]
    forbid: Vec<Forbidden>,
    /// A user whose empty password is meant, and why.
    #[arg(long, value_name = "USER=REASON", value_parser = allowed)]
    allow_empty_password: Vec<AllowedEmpty>,
    /// Print the findings as JSON.
    #[arg(long)]
    json: bool,
}

fn forbidden(word: &str) -> Result<Forbidden, String> {
    if word.trim_matches('/').is_empty() {
        return Err("an empty text is everywhere".to_owned());
    }
    Ok(Forbidden::of(word))
}

fn allowed(word: &str) -> Result<AllowedEmpty, String> {
    match word.split_once('=') {
        Some((user, reason)) if !user.is_empty() && !reason.trim().is_empty() => Ok(AllowedEmpty {
            user: user.to_owned(),
            reason: reason.trim().to_owned(),
        }),
        _ => Err("write USER=REASON: an empty password needs a reason".to_owned()),
    }
}

impl VerifyProduction {
    pub(super) fn execute(self) -> ExitCode {
        let options = VerifyOptions {
            forbidden: self.forbid,
            allowed_empty: self.allow_empty_password,
        };
        match verify(&self.image, &options) {
            Ok(verified) => {
                let told = if self.json { as_json(&verified) } else { page(&verified) };
                let said = say::answer(told);
                if verified.findings.is_empty() {
                    said
                } else {
                    ExitCode::FAILURE
                }
            }
            Err(error) => {
                if self.json {
                    let error = json!({ "error": error.to_string(), "help": error.mend() });
                    let _ = say::answer(printable_json(&error, true) + "\n");
                } else {
                    debug_iso::tell(&error);
                }
                debug_iso::exit_of(&error)
            }
        }
    }
}

fn as_json(verified: &Verification) -> String {
    let mut value = json!(verified);
    value["production_ready"] = verified.findings.is_empty().into();
    printable_json(&value, true) + "\n"
}

fn page(verified: &Verification) -> String {
    let clean = |text: &str| terminal_line(text, CHARS_MAX);
    let mut text = String::new();
    for finding in &verified.findings {
        let Finding {
            path,
            what,
            why,
            remedy,
            check,
        } = finding;
        let _ = writeln!(text, "✗ {}  {}\n    {}", check.as_str(), clean(path), clean(what));
        let _ = writeln!(text, "    why:  {}\n    mend: {}", clean(why), clean(remedy));
    }
    for note in &verified.notes {
        let _ = writeln!(text, "· {}", clean(note));
    }
    let looked = &verified.looked_at;
    let _ = writeln!(
        text,
        "Looked at {}: {} names, {} files read, {} users; boot loader: {}",
        clean(&looked.squashfs.join(", ")),
        looked.entries,
        looked.files_read,
        looked.users,
        clean(&looked.configurations.join(", ")),
    );
    let image = verified.image.display();
    let unseen = verified
        .findings
        .iter()
        .filter(|found| found.check == Check::NotLookedAt)
        .count();
    let _ = match (verified.findings.len(), unseen) {
        (0, _) => writeln!(
            text,
            "{image}: starts no SSH server, has no password and no key, and no trace of a debug build"
        ),
        (all, 0) => writeln!(text, "{image}: not fit for publishing, {all} findings"),
        (all, unseen) => writeln!(
            text,
            "{image}: not proved fit for publishing, {all} findings, {unseen} of them not looked at"
        ),
    };
    text
}
