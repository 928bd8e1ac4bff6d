//! `open-by` of `[ssh]`.

use super::container::{List, SubTable};
use super::diagnostic::Mistake;
use super::key::{Group, Key, Table};
use super::reader::TableReader;
use super::secret_value::SecretValue;
use super::unit::Span;
use super::word::Text;
use crate::plan::{CredentialsPlan, OpenBy, SerialLogin};

static USER: Key<Text> = Key::default(
    "user",
    Text { example: "live" },
    "\"root\"",
    "Who logs in: root, or a user whose `sudo` asks for no password.",
);
static PASSWORD: Key<SecretValue> = Key::optional(
    "password",
    SecretValue::Password,
    "The user's password. Default: none is asked for.",
);
static START: Key<Text> = Key::optional(
    "start",
    Text {
        example: "systemctl start ssh",
    },
    "The command that starts the SSH server. Default: the unit that the image has is started.",
);
static WITHIN: Key<Span> = Key::default(
    "within",
    Span { zero_allowed: false },
    "\"30s\"",
    "How long it may take from the marker on until the SSH server is started.",
);
static SERIAL_LOGIN: Table = Table {
    title: "`serial-login`",
    doc: "A login on the serial console, where the key of the run is put in place and the SSH server is started.",
    keys: &[&USER, &PASSWORD, &START, &WITHIN],
    group: Group::None,
};

static UNITS: Key<List<Text>> = Key::default(
    "units",
    List(Text { example: "ssh.service" }),
    "[\"ssh.service\", \"sshd.service\"]",
    "The units that the default target is to start; those that the image does not have are passed over.",
);
static CREDENTIALS: Table = Table {
    title: "`credentials`",
    doc: "systemd credentials in the firmware's tables: the key for root (systemd 252 and later), and units to start \
          (systemd 256 and later).",
    keys: &[&UNITS],
    group: Group::None,
};

static SERIAL_LOGIN_TABLE: Key<SubTable> = Key::optional(
    "serial-login",
    SubTable(&SERIAL_LOGIN),
    "Log in on the serial console and start the SSH server there.",
);
static CREDENTIALS_TABLE: Key<SubTable> = Key::optional(
    "credentials",
    SubTable(&CREDENTIALS),
    "Hand the key over as a systemd credential.",
);
/// `open-by`.
pub(super) static OPEN_BY: Table = Table {
    title: "`open-by`",
    doc: "How an image that starts no SSH server by itself is had to let us in, as it is, with a key made for the run.",
    keys: &[&SERIAL_LOGIN_TABLE, &CREDENTIALS_TABLE],
    group: Group::ExactlyOne(&["serial-login", "credentials"]),
};

pub(super) fn read(table: &TableReader<'_>) -> Option<OpenBy> {
    if table.has(&SERIAL_LOGIN_TABLE) && table.has(&CREDENTIALS_TABLE) {
        return None;
    }
    if table.has(&CREDENTIALS_TABLE) {
        let credentials = table.table(&CREDENTIALS_TABLE)?;
        let units = credentials.take(&UNITS)?;
        if let Some(unit) = units.iter().find(|unit| !is_unit(unit)) {
            let message = format!("`{unit}` is not the name of a unit");
            let label = "a name with its suffix, as in \"ssh.service\"";
            credentials.report(Mistake::new(credentials.span(&UNITS), message, label));
            return None;
        }
        return Some(OpenBy::Credentials(CredentialsPlan { units }));
    }
    let login = table.table(&SERIAL_LOGIN_TABLE)?;
    let (user, password) = (login.take(&USER), login.take(&PASSWORD));
    let (start, within) = (login.take(&START), login.take(&WITHIN));
    Some(OpenBy::SerialLogin(SerialLogin {
        user: user?,
        password,
        start,
        within: within?,
    }))
}

/// A plain name: it becomes a line of a unit file.
fn is_unit(name: &str) -> bool {
    let is_plain = |c: char| c.is_ascii_alphanumeric() || "-_.@:\\".contains(c);
    name.contains('.') && name.chars().all(is_plain)
}
