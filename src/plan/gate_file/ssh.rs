//! `[ssh]` and `[stage.ssh]`.

use super::container::SubTable;
use super::diagnostic::Mistake;
use super::key::{Group, Key, Table};
use super::number::Count;
use super::open_by::{self, OPEN_BY};
use super::reader::TableReader;
use super::secret_value::SecretValue;
use super::unit::Span;
use super::word::Text;
use crate::plan::{LoginPlan, SshPlan};

const USER_TEXT: Text = Text { example: "root" };

static USER: Key<Text> = Key::default("user", USER_TEXT, "\"root\"", "The user.");
static PASSWORD: Key<SecretValue> = Key::optional("password", SecretValue::Password, "The password.");
static KEY: Key<SecretValue> = Key::optional("key", SecretValue::PrivateKey, "The private key, in OpenSSH's format.");
static OPEN_BY_TABLE: Key<SubTable> = Key::optional(
    "open-by",
    SubTable(&OPEN_BY),
    "How the image is had to let us in, if it starts no SSH server by itself. Goes without `password` and `key`.",
);
static STABLE_LOGINS: Key<Count> = Key::default(
    "stable-logins",
    Count { min: 1, max: 100 },
    "3",
    "How many full logins in a row make SSH stable.",
);
static STABLE_WINDOW: Key<Span> = Key::default(
    "stable-window",
    Span { zero_allowed: true },
    "\"2s\"",
    "How long the row of logins must last at least.",
);
static APPEAR_WITHIN: Key<Span> = Key::default(
    "appear-within",
    Span { zero_allowed: false },
    "\"60s\"",
    "How long after the marker something must answer as an SSH server.",
);
static STABLE_WITHIN: Key<Span> = Key::default(
    "stable-within",
    Span { zero_allowed: false },
    "\"90s\"",
    "How long after the first answer SSH must be stable.",
);
static RETRY_EVERY: Key<Span> = Key::default(
    "retry-every",
    Span { zero_allowed: false },
    "\"1s\"",
    "Pause between two attempts.",
);

/// `[ssh]`.
pub(super) static SSH: Table = Table {
    title: "`[ssh]`",
    doc: "How to log in to the image.",
    keys: &[
        &USER,
        &PASSWORD,
        &KEY,
        &OPEN_BY_TABLE,
        &STABLE_LOGINS,
        &STABLE_WINDOW,
        &APPEAR_WITHIN,
        &STABLE_WITHIN,
        &RETRY_EVERY,
    ],
    group: Group::AtLeastOne(&["password", "key", "open-by"]),
};

static STAGE_USER: Key<Text> = Key::optional("user", USER_TEXT, "The user. Default: that of `[ssh]`.");

/// `[stage.ssh]`.
pub(super) static STAGE_SSH: Table = Table {
    title: "`[stage.ssh]`",
    doc: "The login of this stage, if other than that of `[ssh]`: an installed system often has a password of its own. \
          A password or a key here replaces both of `[ssh]`.",
    keys: &[&STAGE_USER, &PASSWORD, &KEY],
    group: Group::AtLeastOne(&["user", "password", "key"]),
};

pub(super) fn read(table: &TableReader<'_>) -> Option<SshPlan> {
    let (user, password, key) = (table.take(&USER), table.take(&PASSWORD), table.take(&KEY));
    let (stable_logins, retry_every) = (table.take(&STABLE_LOGINS), table.take(&RETRY_EVERY));
    let (stable_window, stable_within) = (table.take(&STABLE_WINDOW), table.take(&STABLE_WITHIN));
    let appear_within = table.take(&APPEAR_WITHIN);
    let open_by = if table.has(&OPEN_BY_TABLE) {
        check_alone(table);
        check_typed(table, user.as_deref());
        Some(table.table(&OPEN_BY_TABLE).and_then(|table| open_by::read(&table))?)
    } else {
        None
    };
    if let (Some(window), Some(within)) = (stable_window, stable_within)
        && window >= within
    {
        let message = "`stable-window` must be shorter than `stable-within`, or SSH is never stable in time";
        let written = if table.has(&STABLE_WINDOW) {
            table.span(&STABLE_WINDOW)
        } else {
            table.span(&STABLE_WITHIN)
        };
        let label = format!(
            "logins over {} can't end within {}",
            crate::units::human_span(window),
            crate::units::human_span(within)
        );
        table.report(Mistake::new(written, message, label));
    }
    Some(SshPlan {
        user: user?,
        password,
        key,
        open_by,
        stable_logins: stable_logins?,
        stable_window: stable_window?,
        appear_within: appear_within?,
        stable_within: stable_within?,
        retry_every: retry_every?,
    })
}

/// A key is made for the run, so that no other is needed.
fn check_alone(table: &TableReader<'_>) {
    for (key, name) in [(table.span(&PASSWORD), &PASSWORD), (table.span(&KEY), &KEY)] {
        if table.has(name) {
            let message = format!(
                "`{}` does not go with `open-by`, which makes a key for the run",
                name.name
            );
            table.report(Mistake::new(key, message, "leave it out"));
        }
    }
}

/// The name is typed at a shell.
fn check_typed(table: &TableReader<'_>, user: Option<&str>) {
    let is_plain = |c: char| c.is_ascii_alphanumeric() || "._-".contains(c);
    if user.is_some_and(|user| !user.chars().all(is_plain)) {
        let message = "with `open-by`, `user` is typed at a shell of the guest";
        table.report(Mistake::new(
            table.span(&USER),
            message,
            "letters, digits, `.`, `_` and `-` only",
        ));
    }
}

/// The login of a stage; what its table leaves out comes from `gate`.
pub(super) fn read_login(table: &TableReader<'_>, gate: Option<&LoginPlan>) -> Option<LoginPlan> {
    let (user, password, key) = (table.take(&STAGE_USER), table.take(&PASSWORD), table.take(&KEY));
    let own_proof = table.has(&PASSWORD) || table.has(&KEY);
    let gate = gate?;
    Some(LoginPlan {
        user: user.unwrap_or_else(|| gate.user.clone()),
        password: if own_proof { password } else { gate.password.clone() },
        key: if own_proof { key } else { gate.key.clone() },
    })
}
