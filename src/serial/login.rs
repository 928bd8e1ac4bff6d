//! A conversation with a login prompt and the shell behind it, without the wires: text in, lines to type out.
//!
//! Whatever is typed comes back as an echo, so an answer is known by a word that no echo holds: the word is typed with
//! quotes in its middle, and the shell prints it without.

mod shell;

use crate::plan::Secret;
use crate::text::{Piece, Scanner};

use shell::{Answer, Shell};

/// Bytes of a line that are looked at: its end, where prompts stand.
const LINE_BYTES_MAX: usize = 4096;
/// How often a name is typed at a prompt that comes again without a word: the first may have been an old one.
const NAMES_MAX: u32 = 3;
/// How often a shell is asked for a sign of life.
const PROBES_MAX: u32 = 6;
/// How many silences behind a login are waited through before a shell is looked for.
const PATIENCE: u32 = 2;
/// What programs say that turn a login down, in lower case: login of util-linux, shadow and busybox, PAM.
const REFUSALS: [&str; 4] = [
    "login incorrect",
    "login failed",
    "authentication failure",
    "account is locked",
];

/// What is to be done at the console.
#[derive(Debug, Clone)]
pub struct LoginScript {
    /// Who logs in.
    pub user: String,
    /// The user's password.
    pub password: Option<Secret>,
    /// The user whose SSH logins are let in: letters, digits, `.`, `_`, `-`.
    pub ssh_user: String,
    /// The public key that is let in, on one line.
    pub public_key: String,
    /// The command that starts the SSH server. `None`: the unit that the image has.
    pub start: Option<String>,
    /// A word that nobody can have foreseen: letters and digits.
    pub nonce: String,
}

/// What keeps a conversation from its end.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Obstacle {
    /// The login was turned down.
    Login,
    /// No shell answered.
    Shell,
    /// The user can't become root.
    Root,
    /// There is no SSH server.
    NoServer,
    /// The SSH server does not start.
    ServerFailed,
}

/// A line of the console.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Quote {
    /// Offset of its first byte in the stream.
    pub offset: u64,
    /// Its text.
    pub text: String,
}

/// What follows from what was heard.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum Move {
    /// Type this and the Enter key.
    Type(String),
    /// Type the password and the Enter key.
    TypePassword(Secret),
    /// The SSH server runs. How it came to that, and where that stands.
    Opened(String, Quote),
    /// It can't be done.
    Refused(Obstacle, String, Quote),
}

/// Where the conversation is.
#[derive(Debug)]
enum Place {
    /// A login prompt is awaited.
    Prompt,
    /// The name was typed this often.
    Named(u32),
    /// The password was typed.
    Proved,
    /// A shell was asked for a sign of life this often.
    Probing(u32),
    /// In the shell.
    Shell,
    /// Over.
    Ended,
}

/// A conversation.
#[derive(Debug)]
pub struct Conversation {
    script: LoginScript,
    scanner: Scanner,
    /// Where the scanner's zero lies in the stream.
    base: u64,
    line: Quote,
    /// The last line that was no echo and held something.
    last: Quote,
    place: Place,
    /// Silences behind a login that are waited through.
    patience: u32,
    shell: Shell,
}

impl Conversation {
    /// Begins at a console whose last bytes, from `offset` on, are known. Gives the first moves.
    pub fn begin(script: LoginScript, offset: u64, recent: &[u8]) -> (Self, Vec<Move>) {
        let quote = || Quote {
            offset,
            text: String::new(),
        };
        let shell = Shell::new(&script);
        let mut conversation = Self {
            script,
            scanner: Scanner::default(),
            base: offset,
            line: quote(),
            last: quote(),
            place: Place::Prompt,
            patience: PATIENCE,
            shell,
        };
        conversation.read(recent, |_, _| Vec::new());
        let mut moves = conversation.at_open_line();
        if moves.is_empty() {
            // A prompt that other messages have covered comes again.
            moves.push(Move::Type(String::new()));
        }
        (conversation, moves)
    }

    /// The console said something.
    pub fn hear(&mut self, bytes: &[u8]) -> Vec<Move> {
        let mut moves = self.read(bytes, Self::at_line);
        if moves.is_empty() {
            moves = self.at_open_line();
        }
        moves
    }

    /// The console has said nothing for a while.
    pub fn quiet(&mut self) -> Vec<Move> {
        match self.place {
            Place::Prompt => vec![Move::Type(String::new())],
            // A login may take its time to turn somebody down.
            Place::Named(_) | Place::Proved if !self.awaits_answer() && self.patience > 0 => {
                self.patience -= 1;
                Vec::new()
            }
            Place::Named(_) | Place::Proved if !self.awaits_answer() => self.probe(1),
            Place::Named(_) | Place::Proved | Place::Ended => Vec::new(),
            Place::Probing(count) if count < PROBES_MAX => self.probe(count + 1),
            Place::Probing(count) => {
                let detail = format!("asked {count} times, no shell has answered");
                self.refuse(Obstacle::Shell, detail, self.last.clone())
            }
            Place::Shell => self.shell.again().map(Move::Type).into_iter().collect(),
        }
    }

    /// Takes bytes apart into lines; `at_line` looks at each that ends, until one leads to a move.
    fn read(&mut self, bytes: &[u8], at_line: fn(&mut Self, &Quote) -> Vec<Move>) -> Vec<Move> {
        let mut pieces: Vec<(u64, Option<String>)> = Vec::new();
        self.scanner.feed(bytes, |at, piece| {
            pieces.push((
                at,
                match piece {
                    Piece::Text(text) => Some(text.to_owned()),
                    Piece::CarriageReturn | Piece::LineFeed | Piece::CursorMove => None,
                },
            ));
        });
        let mut moves = Vec::new();
        for (at, piece) in pieces {
            let Some(text) = piece else {
                let next = Quote {
                    offset: self.base + at + 1,
                    text: String::new(),
                };
                let line = std::mem::replace(&mut self.line, next);
                if line.text.trim().is_empty() {
                    continue;
                }
                moves.extend(at_line(self, &line));
                self.last = line;
                continue;
            };
            self.line.text.push_str(&text);
            if self.line.text.len() > LINE_BYTES_MAX {
                let excess = self.line.text.len() - LINE_BYTES_MAX;
                let mut cut = excess;
                while !self.line.text.is_char_boundary(cut) {
                    cut += 1;
                }
                self.line.text.drain(..cut);
            }
        }
        moves
    }

    /// A line has ended.
    fn at_line(&mut self, line: &Quote) -> Vec<Move> {
        let text = line.text.to_lowercase();
        let is_refusal = REFUSALS.iter().any(|refusal| text.contains(refusal));
        match self.place {
            Place::Named(_) | Place::Proved | Place::Probing(_) if is_refusal => {
                let detail = format!("user `{}`", self.script.user);
                self.refuse(Obstacle::Login, detail, line.clone())
            }
            Place::Probing(_) | Place::Shell => {
                let answer = self.shell.at_line(&line.text, &self.last.text);
                self.follow(answer, line)
            }
            _ => Vec::new(),
        }
    }

    /// What stands in the line that has not ended: a prompt has no end.
    fn at_open_line(&mut self) -> Vec<Move> {
        let is_login = is_login_prompt(&self.line.text);
        match self.place {
            Place::Prompt | Place::Named(0) if is_login => self.name(1),
            Place::Named(count) if is_login && count < NAMES_MAX => self.name(count + 1),
            Place::Named(_) | Place::Proved | Place::Probing(_) if is_login => {
                let detail = format!("user `{}`: the prompt came again", self.script.user);
                self.refuse(Obstacle::Login, detail, self.line.clone())
            }
            Place::Named(_) if is_password_prompt(&self.line.text) => self.prove(),
            Place::Proved if is_password_prompt(&self.line.text) => {
                let detail = format!("user `{}`: another password is asked for", self.script.user);
                self.refuse(Obstacle::Login, detail, self.line.clone())
            }
            Place::Prompt | Place::Named(_) | Place::Proved if is_shell_prompt(&self.line.text) => self.probe(1),
            _ => Vec::new(),
        }
    }

    fn awaits_answer(&self) -> bool {
        is_login_prompt(&self.line.text) || is_password_prompt(&self.line.text)
    }

    fn name(&mut self, count: u32) -> Vec<Move> {
        self.place = Place::Named(count);
        self.line.text.clear();
        vec![Move::Type(self.script.user.clone())]
    }

    fn prove(&mut self) -> Vec<Move> {
        let Some(password) = self.script.password.clone() else {
            let detail = format!("user `{}` has a password, and the gate gives none", self.script.user);
            return self.refuse(Obstacle::Login, detail, self.line.clone());
        };
        self.place = Place::Proved;
        self.line.text.clear();
        vec![Move::TypePassword(password)]
    }

    fn probe(&mut self, count: u32) -> Vec<Move> {
        self.place = Place::Probing(count);
        vec![Move::Type(self.shell.probe())]
    }

    fn follow(&mut self, answer: Answer, line: &Quote) -> Vec<Move> {
        match answer {
            Answer::None => Vec::new(),
            Answer::Type(command) => {
                self.place = Place::Shell;
                vec![Move::Type(command)]
            }
            Answer::Opened(detail) => {
                self.place = Place::Ended;
                vec![Move::Opened(detail, line.clone())]
            }
            // The line before the status says why.
            Answer::Refused(obstacle, detail) => self.refuse(obstacle, detail, self.last.clone()),
        }
    }

    fn refuse(&mut self, obstacle: Obstacle, detail: String, quote: Quote) -> Vec<Move> {
        self.place = Place::Ended;
        vec![Move::Refused(obstacle, detail, quote)]
    }
}

/// `live login:`, and not the `Last login:` of a login that has succeeded.
fn is_login_prompt(line: &str) -> bool {
    let line = line.trim().to_lowercase();
    line.ends_with("login:") && !line.starts_with("last")
}

fn is_password_prompt(line: &str) -> bool {
    let line = line.trim_end().to_lowercase();
    line.ends_with("password:") || line.ends_with("passphrase:")
}

/// What shells end their prompts with. A mistake costs a line that is typed for nothing.
fn is_shell_prompt(line: &str) -> bool {
    line.trim_end().ends_with(['$', '#', '%', '>'])
}

#[cfg(test)]
mod tests;
