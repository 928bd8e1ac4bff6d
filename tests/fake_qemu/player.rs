//! The fake: finds its sockets, speaks QMP, and plays its story.

use std::collections::{BTreeMap, BTreeSet};
use std::fs::{self, File, OpenOptions};
use std::io::{BufRead, BufReader, Read, Write};
use std::net::Shutdown;
use std::os::fd::AsFd;
use std::os::unix::net::UnixStream;
use std::path::{Path, PathBuf};
use std::process::{Child, Command, Stdio};
use std::sync::mpsc::{Receiver, RecvTimeoutError, Sender, channel};
use std::time::{Duration, Instant};

use nix::sys::signal::{Signal, kill};
use nix::unistd::{Pid, getppid};
use serde_json::{Value, json};

use crate::story::{Act, NO_GREETING, Story};

/// Where the fake's files are; set by the wrapper script.
pub(crate) const PLACE: &str = "BOOTGATE_FAKE_QEMU";
/// The value of `-uuid`; set by the wrapper script.
pub(crate) const UUID: &str = "BOOTGATE_FAKE_UUID";
/// How much is written at once.
const FLOOD_CHUNK_BYTES: usize = 1024 * 1024;
/// Longer than any test lasts.
const LONG: Duration = Duration::from_secs(3600);
/// The smallest PPM that is one: a grey pixel.
const PPM: &[u8] = b"P6\n1 1\n255\n\x80\x80\x80";

/// A file of the fixtures.
pub(crate) fn fixture(path: &str) -> PathBuf {
    Path::new(env!("CARGO_MANIFEST_DIR")).join("fixtures").join(path)
}

/// Plays QEMU if this process was started by the wrapper script; else there is nothing to test here.
#[test]
fn role_plays_qemu() {
    let Some(place) = std::env::var_os(PLACE).map(PathBuf::from) else {
        return;
    };
    Player::new(&place).play();
}

enum Input {
    Command(Value),
    Console,
}

struct Player {
    story: Story,
    qmp: UnixStream,
    serial: UnixStream,
    inputs: Receiver<Input>,
    /// Kept, so that silence is no end.
    _inputs: Sender<Input>,
    agenda: BTreeMap<(Instant, usize), Act>,
    counts: BTreeMap<String, u32>,
    status: String,
    /// Operations of the disk, and how many each look at them adds.
    operations: (u64, u64),
    deaf: BTreeSet<String>,
    /// Outlives this process on purpose.
    keeper: Option<Child>,
}

/// The wrapper script has put the QMP socket at standard input and the serial console at standard error.
fn socket(fd: impl AsFd) -> UnixStream {
    UnixStream::from(fd.as_fd().try_clone_to_owned().expect("a descriptor can be copied"))
}

/// The story of the machine that this is: the n-th that was started.
fn story(place: &Path) -> Story {
    let first_time = |number: &u32| {
        let mark = place.join(format!("started-{number}"));
        OpenOptions::new().write(true).create_new(true).open(mark).is_ok()
    };
    let number = (1..100).find(first_time).expect("a run has few machines");
    let text = fs::read(place.join(format!("story-{number}.json"))).expect("a story for each machine");
    serde_json::from_slice(&text).expect("a story is what was written")
}

impl Player {
    fn new(place: &Path) -> Self {
        let (qmp, serial) = (socket(std::io::stdin()), socket(std::io::stderr()));
        let (sender, inputs) = channel();
        let commands = |line: &str| serde_json::from_str(line).ok().map(Input::Command);
        listen(qmp.try_clone().expect("copied"), sender.clone(), commands);
        listen_for_keys(serial.try_clone().expect("copied"), sender.clone());
        Self {
            story: story(place),
            qmp,
            serial,
            inputs,
            _inputs: sender,
            agenda: BTreeMap::new(),
            counts: BTreeMap::new(),
            status: "prelaunch".to_owned(),
            operations: (100, 0),
            deaf: BTreeSet::new(),
            keeper: None,
        }
    }

    fn play(mut self) -> ! {
        if let (Some(file), Ok(uuid)) = (&self.story.uuid_file, std::env::var(UUID)) {
            fs::write(file, format!("{uuid}\n")).expect("the guest's UUID is written");
        }
        self.happened("start");
        self.do_what_is_due();
        if self.story.greeting.as_deref() != Some(NO_GREETING) {
            self.greet();
        }
        loop {
            let next = self
                .agenda
                .keys()
                .next()
                .map(|(at, _)| at.saturating_duration_since(Instant::now()));
            match self.inputs.recv_timeout(next.unwrap_or(LONG)) {
                Ok(Input::Command(command)) => self.command(&command),
                Ok(Input::Console) => self.happened("console"),
                Err(RecvTimeoutError::Timeout | RecvTimeoutError::Disconnected) => {}
            }
            self.do_what_is_due();
        }
    }

    /// Puts on the agenda what follows from something.
    fn happened(&mut self, what: &str) {
        let count = self.counts.entry(what.to_owned()).or_default();
        *count += 1;
        let now = Instant::now();
        for (index, beat) in self.story.beats.iter().enumerate() {
            if beat.on == what && (beat.nth == 0 || beat.nth == *count) {
                self.agenda
                    .insert((now + Duration::from_millis(beat.after_ms), index), beat.act.clone());
            }
        }
    }

    fn do_what_is_due(&mut self) {
        while let Some(entry) = self
            .agenda
            .first_entry()
            .filter(|entry| entry.key().0 <= Instant::now())
        {
            let act = entry.remove();
            self.act(act);
        }
    }

    fn greet(&mut self) {
        let recorded = || {
            let path = fixture(&format!("qmp/{}_x86_64/greeting.qmp.jsonl", self.story.version));
            let text = fs::read_to_string(path).expect("a recorded greeting");
            let first: Value = serde_json::from_str(text.lines().next().expect("a line")).expect("JSON");
            first["raw"].as_str().expect("a line of QEMU").to_owned()
        };
        let greeting = self.story.greeting.clone().filter(|line| line != NO_GREETING);
        let greeting = greeting.unwrap_or_else(recorded);
        self.say(&greeting);
    }

    fn act(&mut self, act: Act) {
        match act {
            Act::Qmp(line) => self.say(&line),
            Act::QmpFlood(bytes) => flood(&mut self.qmp, bytes),
            Act::Serial(text, chunk_bytes) => {
                let chunk_bytes = if chunk_bytes == 0 { text.len() } else { chunk_bytes };
                for chunk in text.as_bytes().chunks(chunk_bytes) {
                    let _ = self.serial.write_all(chunk);
                }
            }
            Act::SerialFlood(file, times, last) => {
                let [noise, last] = [file, last].map(|file| fs::read(file).expect("the noise is there"));
                let mut serial = self.serial.try_clone().expect("copied");
                std::thread::spawn(move || {
                    (0..times).for_each(|_| drop(serial.write_all(&noise)));
                    let _ = serial.write_all(&last);
                });
            }
            Act::Status(status) => self.status = status,
            Act::Deaf(command) => drop(self.deaf.insert(command)),
            // Other descriptors of the same socket stay open; the other end sees its end all the same.
            Act::CloseQmp => drop(self.qmp.shutdown(Shutdown::Both)),
            Act::CloseSerial => drop(self.serial.shutdown(Shutdown::Both)),
            Act::Exit(code) => std::process::exit(code),
            Act::Die(signal) => send(Pid::this(), &signal),
            Act::Parent(signal) => send(getppid(), &signal),
            Act::Complain(text) => {
                let file = OpenOptions::new().append(true).create(true).open("qemu.stderr");
                let _ = file.and_then(|mut file: File| writeln!(file, "{text}"));
            }
            Act::LeaveKeeper => {
                let mut cat = Command::new("cat");
                cat.stdin(self.qmp.as_fd().try_clone_to_owned().expect("copied"))
                    .stdout(Stdio::null());
                self.keeper = Some(cat.spawn().expect("cat is everywhere"));
            }
            Act::WriteBootSector => {
                let mut sector = [0x90; 512];
                sector[510..].copy_from_slice(&[0x55, 0xaa]);
                // Started in the run directory, beside the disks.
                let disk = OpenOptions::new().write(true).open("disks/target.raw");
                disk.and_then(|mut disk| disk.write_all(&sector))
                    .expect("the disk is there");
            }
            Act::DiskWorks => self.operations.1 = 1,
            Act::Greet => {
                self.story.greeting = None;
                self.greet();
            }
        }
    }

    fn say(&mut self, line: &str) {
        let _ = self.qmp.write_all(format!("{line}\r\n").as_bytes());
    }

    fn say_event(&mut self, name: &str, data: &Value) {
        let mut event = json!({"timestamp": {"seconds": 1_795_421_509, "microseconds": 1}, "event": name});
        if !data.is_null() {
            event["data"] = data.clone();
        }
        self.say(&event.to_string());
    }

    fn command(&mut self, command: &Value) {
        let key = if command.get("exec-oob").is_some() {
            "exec-oob"
        } else {
            "execute"
        };
        let name = command[key].as_str().unwrap_or_default().to_owned();
        if !self.deaf.contains("*") && !self.deaf.contains(&name) {
            let outcome = self.carry_out(&name, &command["arguments"]);
            let mut reply = match outcome {
                Some(result) => json!({"return": result}),
                None => json!({"error": {"class": "CommandNotFound", "desc": format!("{name} is not known")}}),
            };
            reply["id"] = command["id"].clone();
            self.say(&reply.to_string());
        }
        self.happened(&name);
        if name == "quit" && !self.deaf.contains("*") && !self.deaf.contains("quit") {
            self.do_what_is_due();
            std::process::exit(0);
        }
    }

    fn carry_out(&mut self, name: &str, arguments: &Value) -> Option<Value> {
        match name {
            "cont" => {
                "running".clone_into(&mut self.status);
                self.say_event("RESUME", &Value::Null);
            }
            "stop" if self.status == "running" => {
                "paused".clone_into(&mut self.status);
                self.say_event("STOP", &Value::Null);
            }
            "query-status" => {
                return Some(json!({"status": self.status, "running": self.status == "running"}));
            }
            // Its virtual CPU is this thread, which sleeps between two inputs.
            "query-cpus-fast" => return Some(json!([{"cpu-index": 0, "thread-id": nix::unistd::gettid().as_raw()}])),
            "query-blockstats" => {
                self.operations.0 += self.operations.1;
                return Some(
                    json!([{"device": "", "stats": {"rd_operations": self.operations.0, "wr_operations": 7}}]),
                );
            }
            "query-yank" => return Some(json!([])),
            "human-monitor-command" => return Some(json!(self.page(&arguments["command-line"]))),
            "screendump" => fs::write(arguments["filename"].as_str()?, PPM).ok()?,
            "system_powerdown" => {
                self.say_event("POWERDOWN", &Value::Null);
                "shutdown".clone_into(&mut self.status);
                self.say_event("SHUTDOWN", &json!({"guest": true, "reason": "guest-shutdown"}));
                self.say_event("STOP", &Value::Null);
            }
            "quit" => self.say_event("SHUTDOWN", &json!({"guest": false, "reason": "host-qmp-quit"})),
            // A guest that stands still already, and negotiation: nothing to do.
            "stop" | "qmp_capabilities" => {}
            _ => return None,
        }
        Some(json!({}))
    }

    fn page(&self, command: &Value) -> String {
        if command != "info usernet" {
            return "nothing\r\n".to_owned();
        }
        format!(
            "Hub -1 (net0):\r\n  Protocol[State]    FD  Source Address  Port   Dest. Address  Port RecvQ SendQ\r\n  \
             TCP[HOST_FORWARD]  13       127.0.0.1 {:5}       10.0.2.15    22     0     0\r\n",
            self.story.ssh_port
        )
    }
}

/// A line on the console may end in any way, or not at all: what comes together is one.
fn listen_for_keys(mut stream: UnixStream, inputs: Sender<Input>) {
    std::thread::spawn(move || {
        let mut chunk = [0; 4096];
        while stream.read(&mut chunk).is_ok_and(|length| length > 0) && inputs.send(Input::Console).is_ok() {}
    });
}

fn send(to: Pid, signal: &str) {
    let signal: Signal = signal.parse().expect("the name of a signal");
    kill(to, signal).expect("the process is there");
}

fn flood(stream: &mut UnixStream, bytes: u64) {
    let chunk = vec![b'x'; FLOOD_CHUNK_BYTES];
    let mut left = bytes;
    while left > 0 {
        let length = usize::try_from(left).unwrap_or(usize::MAX).min(chunk.len());
        if stream.write_all(&chunk[..length]).is_err() {
            return;
        }
        left -= length as u64;
    }
}

/// Reads lines and passes on what they mean. The end of the stream is no end: QEMU goes on without its monitor, too.
fn listen(stream: UnixStream, inputs: Sender<Input>, meaning: impl Fn(&str) -> Option<Input> + Send + 'static) {
    std::thread::spawn(move || {
        for line in BufReader::new(stream).lines().map_while(Result::ok) {
            if let Some(input) = meaning(&line)
                && inputs.send(input).is_err()
            {
                return;
            }
        }
    });
}
