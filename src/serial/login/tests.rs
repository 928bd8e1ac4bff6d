//! Conversations with a console that the tests play.

use super::*;
use proptest::prelude::*;

const RECENT: &[u8] = b"[  OK  ] Reached target\r\nlive-ready\r\n";

fn script(password: Option<&str>) -> LoginScript {
    LoginScript {
        user: "live".to_owned(),
        password: password.map(|text| Secret::new(text.to_owned())),
        ssh_user: "root".to_owned(),
        public_key: "ssh-ed25519 AAAA run".to_owned(),
        start: None,
        nonce: "bgn0nce".to_owned(),
    }
}

/// A guest that echoes what is typed and runs a login and a shell.
struct Guest {
    uid: u32,
    sudo: bool,
    unit: Option<&'static str>,
    starts: bool,
    password: Option<&'static str>,
    in_shell: bool,
    named: bool,
    said: Vec<String>,
}

impl Guest {
    fn new() -> Self {
        Self {
            uid: 1000,
            sudo: true,
            unit: Some("ssh.service"),
            starts: true,
            password: None,
            in_shell: false,
            named: false,
            said: Vec::new(),
        }
    }

    /// What the console shows after a line was typed.
    fn hear(&mut self, typed: &str) -> String {
        self.said.push(typed.to_owned());
        if !self.in_shell {
            return self.login(typed);
        }
        let echo = format!("{typed}\r\n");
        let result = |value: &str| {
            let tag = typed.rsplit("echo ").next().unwrap_or_default();
            let tag = tag.split_whitespace().next().unwrap_or_default().replace('\'', "");
            format!("{tag} {value}\r\n\x1b[?2004hlive@live:~$ ")
        };
        let answer = if typed.contains("id -u") {
            result(&self.uid.to_string())
        } else if typed.starts_with("sudo -n true") && !self.sudo {
            format!("sudo: a password is required\r\n{}", result("1"))
        } else if typed.starts_with("exec sudo") {
            self.uid = 0;
            result("0")
        } else if typed.starts_with("for u in") {
            result(self.unit.unwrap_or("none"))
        } else if typed.contains("systemctl start") && !self.starts {
            format!("Job for ssh.service failed.\r\n{}", result("1"))
        } else if typed.is_empty() {
            "live@live:~$ ".to_owned()
        } else {
            result("0")
        };
        echo + &answer
    }

    fn login(&mut self, typed: &str) -> String {
        if typed.is_empty() {
            return "\r\n\r\nDebian live ttyS0\r\n\r\nlive login: ".to_owned();
        }
        match (self.named, self.password) {
            (false, Some(_)) => {
                self.named = true;
                format!("{typed}\r\nPassword: ")
            }
            (true, Some(password)) if typed != password => {
                self.named = false;
                "\r\n\r\nLogin incorrect\r\nlive login: ".to_owned()
            }
            _ => {
                self.in_shell = true;
                format!("{typed}\r\nLast login: Mon on ttyS0\r\n\x1b[?2004hlive@live:~$ ")
            }
        }
    }
}

fn talk(script: LoginScript, guest: &mut Guest, recent: &[u8], piece: usize) -> Move {
    let (mut conversation, mut moves) = Conversation::begin(script, 1000, recent);
    for _ in 0..200 {
        let Some(next) = (!moves.is_empty()).then(|| moves.remove(0)) else {
            moves = conversation.quiet();
            assert!(
                !moves.is_empty(),
                "stuck at {:?}, told {:?}",
                conversation.place,
                guest.said
            );
            continue;
        };
        assert!(moves.is_empty(), "one line at a time");
        let typed = match next {
            Move::Type(text) => text,
            Move::TypePassword(secret) => secret.expose().to_owned(),
            end => return end,
        };
        let shown = guest.hear(&typed);
        for part in shown.as_bytes().chunks(piece) {
            moves.extend(conversation.hear(part));
        }
    }
    panic!("no end; typed {:?}", guest.said);
}

#[test]
fn a_user_without_a_password_opens_the_image_by_way_of_sudo() {
    let mut guest = Guest::new();
    let end = talk(script(None), &mut guest, RECENT, 4096);
    let Move::Opened(told, quote) = end else {
        panic!("{end:?}")
    };
    assert_eq!(told, "serial login as `live` by way of sudo; started: ssh.service");
    assert!(quote.text.contains("bgn0nce-") && quote.offset > 1000, "{quote:?}");
    assert_eq!(&guest.said[..3], ["", "live", "echo bgn0nce-'1' 0"]);
    assert!(
        guest
            .said
            .iter()
            .any(|line| line.contains("'ssh-ed25519 AAAA run' >>~root/.ssh/authorized_keys"))
    );
    assert!(
        guest.said.iter().all(|line| line.len() < 1000),
        "a terminal takes 4095 bytes of a line"
    );
}

#[test]
fn a_prompt_that_stands_is_answered_and_a_shell_that_stands_is_used() {
    let mut guest = Guest::new();
    guest.password = Some("secret");
    let end = talk(script(Some("secret")), &mut guest, b"live-ready\r\nlive login: ", 4096);
    assert!(matches!(end, Move::Opened(..)), "{end:?}");
    assert_eq!(&guest.said[..2], ["live", "secret"]);
    let mut guest = Guest::new();
    guest.in_shell = true;
    guest.uid = 0;
    let end = talk(script(None), &mut guest, b"root@live:~# ", 4096);
    let Move::Opened(told, _) = end else { panic!("{end:?}") };
    assert_eq!(told, "serial login as `live`; started: ssh.service");
}

#[test]
fn what_is_in_the_way_is_told_with_its_line() {
    let refused = |script: LoginScript, change: fn(&mut Guest)| {
        let mut guest = Guest::new();
        change(&mut guest);
        match talk(script, &mut guest, RECENT, 4096) {
            Move::Refused(obstacle, _, quote) => (obstacle, quote.text),
            other => panic!("{other:?}"),
        }
    };
    let (obstacle, line) = refused(script(Some("wrong")), |guest| guest.password = Some("secret"));
    assert_eq!((obstacle, line.as_str()), (Obstacle::Login, "Login incorrect"));
    let (obstacle, line) = refused(script(None), |guest| guest.password = Some("secret"));
    assert_eq!((obstacle, line.as_str()), (Obstacle::Login, "Password: "));
    let (obstacle, line) = refused(script(None), |guest| guest.sudo = false);
    assert_eq!(
        (obstacle, line.as_str()),
        (Obstacle::Root, "sudo: a password is required")
    );
    assert_eq!(refused(script(None), |guest| guest.unit = None).0, Obstacle::NoServer);
    let (obstacle, line) = refused(script(None), |guest| guest.starts = false);
    assert_eq!(
        (obstacle, line.as_str()),
        (Obstacle::ServerFailed, "Job for ssh.service failed.")
    );
}

#[test]
fn an_echo_is_no_answer_and_silence_is_no_shell() {
    let (mut conversation, moves) = Conversation::begin(script(None), 0, b"live@live:~$ ");
    let [Move::Type(line)] = moves.as_slice() else {
        panic!("{moves:?}")
    };
    let echo = [line.as_bytes(), b"\r\n"].concat();
    assert_eq!(conversation.hear(&echo), []);
    for _ in 1..PROBES_MAX {
        assert!(matches!(conversation.quiet().as_slice(), [Move::Type(_)]));
    }
    assert!(matches!(
        conversation.quiet().as_slice(),
        [Move::Refused(Obstacle::Shell, ..)]
    ));
    assert_eq!(conversation.quiet(), []);
}

proptest! {
    #[test]
    fn the_same_is_typed_however_the_bytes_are_cut(piece in 1usize..40) {
        let mut guest = Guest::new();
        guest.password = Some("secret");
        let end = talk(script(Some("secret")), &mut guest, RECENT, piece);
        prop_assert!(matches!(end, Move::Opened(..)), "{:?} after {:?}", end, guest.said);
    }

    #[test]
    fn nothing_that_a_guest_says_breaks_it_or_gets_the_password(
        said in proptest::collection::vec("[a-z#$%>:@\r\n \u{1b}\\[0-9-]{0,80}", 0..30),
    ) {
        let (mut conversation, _) = Conversation::begin(script(Some("secret")), 0, b"");
        for text in said {
            let asks = text.to_lowercase().contains("password:");
            for next in conversation.hear(text.as_bytes()).into_iter().chain(conversation.quiet()) {
                if let Move::TypePassword(_) = next {
                    prop_assert!(asks || text.is_empty());
                }
            }
        }
    }
}
