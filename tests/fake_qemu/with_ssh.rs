//! With an SSH server behind the fake's forward: a whole gate, and the endings of the states that need logins.

use std::fs::{self, File};

use nix::sys::stat::Mode;
use nix::unistd::mkfifo;

use crate::bench::{Bench, Finished, INSTALL, INSTALLED, LOGIN};
use crate::endings::all_come_to;
use crate::ssh_support::{Answer, Behaviour, Guest, PASSWORD, Server};
use crate::stories::{Which, endings, installed, live};
use crate::story::{Act, Beat, Story, on};

const MACHINE_OF_ANOTHER_RUN: &str = "aaaaaaaa-bbbb-4ccc-8ddd-eeeeeeeeeeee";

/// The `[ssh]` table: logins follow each other quickly.
fn table(stable_logins: u32, appear_within: &str) -> String {
    format!(
        "[ssh]\nuser = \"root\"\npassword = \"{PASSWORD}\"\nstable-logins = {stable_logins}\nstable-window = \"100ms\"\n\
         retry-every = \"100ms\"\nappear-within = \"{appear_within}\"\nstable-within = \"18s\"\n"
    )
}

/// A guest whose SSH server is in this process, and who learns the UUID of its machine from the fake.
struct Behind {
    guest: Guest,
    server: Server,
    /// Commands that wait end when this is closed.
    _busy: File,
}

impl Behind {
    async fn new(change: impl FnOnce(&mut Behaviour)) -> Self {
        let guest = Guest::new();
        let mut behaviour = guest.behaviour();
        change(&mut behaviour);
        let server = Server::start(behaviour).await;
        let fifo = guest.path("busy");
        mkfifo(&fifo, Mode::S_IRWXU).unwrap();
        // Both ways: opening one end alone waits for the other.
        let busy = File::options().read(true).write(true).open(fifo).unwrap();
        Self {
            guest,
            server,
            _busy: busy,
        }
    }

    /// A command that prints what it is to print and goes on until the test is over.
    fn goes_on(&self, words: &str) -> String {
        let fifo = self.guest.path("busy");
        install(&format!("echo {words}; exec timeout 30 cat {}", fifo.display()))
    }

    fn story(&self, mut story: Story) -> Story {
        story.ssh_port = self.server.address.port();
        story.uuid_file = Some(self.guest.path("product_uuid"));
        story
    }
}

impl Drop for Behind {
    /// The guest is this machine: where a command keeps its files there, it does here.
    fn drop(&mut self) {
        let Ok(uuid) = fs::read_to_string(self.guest.path("product_uuid")) else {
            return;
        };
        for base in ["/run", "/tmp"] {
            let _ = fs::remove_dir_all(format!("{base}/bootgate-{}", uuid.trim()));
        }
    }
}

fn install(command: &str) -> String {
    INSTALL.replace("echo installed; exit $STATUS", command)
}

async fn run(name: &str, behind: &Behind, stages: &[&str], stories: Vec<Story>) -> Finished {
    let stories: Vec<_> = stories.into_iter().map(|story| behind.story(story)).collect();
    Bench::new(name, &table(2, "15s"), stages, &stories).run().await
}

#[tokio::test(flavor = "multi_thread", worker_threads = 1)]
async fn a_whole_gate_passes() {
    let behind = Behind::new(|_| {}).await;
    let stages = [LOGIN, &install("echo installed"), INSTALLED];
    let stories = vec![Story::new(live()), Story::new(installed())];
    let finished = run("whole", &behind, &stages, stories).await;
    let finished = finished.comes_to("passed every-claim-proved Releasing 0");
    let states = [
        "Booting",
        "MarkerSeen",
        "SshStable",
        "SshStable",
        "Installing",
        "Triaged",
        "PoweringDown",
        "Exiting",
        "Releasing",
        "Preparing",
        "BootingDisk",
        "Verifying",
        "Exiting",
        "Releasing",
        "Finished",
    ];
    assert_eq!(finished.states(), states, "{}", finished.printed);
    assert_eq!(finished.file("ssh/install.log"), b"installed\n");
    for stage in finished.result["stages"].as_array().unwrap() {
        assert_eq!(stage["outcome"], "passed");
    }
    let everything = fs::read_dir(&finished.run).unwrap().map(|entry| entry.unwrap().path());
    for file in everything.filter(|path| path.is_file()) {
        let text = String::from_utf8_lossy(&fs::read(&file).unwrap()).into_owned();
        assert!(!text.contains(PASSWORD), "{} holds the password", file.display());
    }
}

/// The endings of a state that `begins` with the n-th command of a name. Each row has a guest of its own, so that rows can
/// run side by side.
async fn each_ending_is_named(state: &str, begins: (&str, u32), bench: impl Fn(&str, &Behind, Vec<Beat>) -> Bench) {
    let mut rows = Vec::new();
    // Kept to the end: with it goes the server.
    let mut guests = Vec::new();
    for (name, beats, wanted) in endings(state, begins.0, Which::OneOfAKind) {
        let behind = Behind::new(|behaviour| {
            if state == "MarkerSeen" {
                // A server that lets nobody do anything.
                behaviour.exec = Answer::Silence;
            }
        })
        .await;
        let beats = beats.into_iter().map(|beat| Beat { nth: begins.1, ..beat });
        rows.push((name.clone(), bench(&name, &behind, beats.collect()), wanted));
        guests.push(behind);
    }
    all_come_to(rows).await;
}

// The status is asked for before the guest's first instruction, about the marker, about the stable logins, and about the
// machine that the command gets.
#[tokio::test(flavor = "multi_thread", worker_threads = 1)]
async fn each_ending_is_named_while_logins_are_tried() {
    each_ending_is_named("MarkerSeen", ("query-status", 2), |name, behind, beats| {
        let story = behind.story(Story::new(live()).and(beats));
        Bench::new(name, &table(1, "15s"), &[LOGIN], &[story])
    })
    .await;
}

#[tokio::test(flavor = "multi_thread", worker_threads = 1)]
async fn each_ending_is_named_while_a_command_runs() {
    each_ending_is_named("Installing", ("query-status", 4), |name, behind, beats| {
        let story = behind.story(Story::new(live()).and(beats));
        Bench::new(
            name,
            &table(1, "15s"),
            &[LOGIN, &behind.goes_on("installing")],
            &[story],
        )
    })
    .await;
}

/// The endings of the second machine's states, after it has written so many lines of its boot.
async fn each_ending_of_the_installed_disk_is_named(state: &str, begins: (&str, u32), lines: usize) {
    each_ending_is_named(state, begins, |name, behind, beats| {
        let disk = Story::new(installed().into_iter().take(lines)).and(beats);
        let stories = [behind.story(Story::new(live())), behind.story(disk)];
        let stages = [LOGIN, &install("echo installed"), INSTALLED];
        Bench::new(name, &table(1, "15s"), &stages, &stories)
    })
    .await;
}

#[tokio::test(flavor = "multi_thread", worker_threads = 1)]
async fn each_ending_is_named_while_the_installed_disk_boots() {
    each_ending_of_the_installed_disk_is_named("BootingDisk", ("cont", 1), 0).await;
}

#[tokio::test(flavor = "multi_thread", worker_threads = 1)]
async fn each_ending_is_named_while_the_target_is_awaited() {
    each_ending_of_the_installed_disk_is_named("Verifying", ("query-status", 2), 1).await;
}

#[tokio::test(flavor = "multi_thread", worker_threads = 1)]
async fn a_command_comes_to_what_it_did() {
    for (name, command, wanted) in [
        ("clean", "echo installed", "passed every-claim-proved Releasing 0"),
        ("fails", "echo installed; exit 3", "failed command-failed Triaged 1"),
        (
            "killed",
            "echo installed; kill -9 $$",
            "failed command-killed Triaged 1",
        ),
        (
            "says too little",
            "echo instal",
            "failed expected-line-missing Triaged 1",
        ),
    ] {
        let behind = Behind::new(|_| {}).await;
        let finished = run(name, &behind, &[LOGIN, &install(command)], vec![Story::new(live())]).await;
        finished.comes_to(wanted);
    }
    let behind = Behind::new(|_| {}).await;
    let stages = [LOGIN, &behind.goes_on("No space left")];
    let finished = run("forbidden", &behind, &stages, vec![Story::new(live())]).await;
    finished.comes_to("failed forbidden-line Installing 1");
}

#[tokio::test(flavor = "multi_thread", worker_threads = 1)]
async fn a_server_that_can_not_be_used_says_why() {
    let live_story = || Story::new(live());
    let rejecting = Behind::new(|behaviour| behaviour.auth = Answer::No).await;
    run("rejected", &rejecting, &[LOGIN], vec![live_story()])
        .await
        .comes_to("untestable ssh-auth-rejected MarkerSeen 5");

    // Nothing listens on the discard port.
    let closed = Bench::new("closed", &table(2, "1s"), &[LOGIN], &[live_story()])
        .run()
        .await;
    closed.comes_to("untestable ssh-not-listening MarkerSeen 5");

    let other = Behind::new(|_| {}).await;
    other.guest.machine(MACHINE_OF_ANOTHER_RUN);
    let mut story = other.story(live_story());
    story.uuid_file = None;
    let finished = Bench::new("decoy", &table(2, "15s"), &[LOGIN], &[story]).run().await;
    assert_eq!(
        finished.result["verdict"]["cause"], "wrong-machine",
        "{}",
        finished.printed
    );
    assert_eq!(finished.code, 4);
}

#[tokio::test(flavor = "multi_thread", worker_threads = 1)]
async fn an_installed_system_with_the_live_host_key_fails() {
    let behind = Behind::new(|_| {}).await;
    let verified = format!("{INSTALLED}verify-ssh = true\n");
    let stages = [LOGIN, &install("echo installed"), &verified];
    let stories = vec![Story::new(live()), Story::new(installed())];
    let finished = run("copied key", &behind, &stages, stories).await;
    finished.comes_to("failed host-key-copied Verifying 1");
}

#[tokio::test(flavor = "multi_thread", worker_threads = 1)]
async fn a_passphrase_is_sent_over_the_console_and_kept_nowhere() {
    let behind = Behind::new(|_| {}).await;
    let unlocked = format!("{INSTALLED}unlock = {{ prompt = \"Enter passphrase\", answer = \"canary-passphrase\" }}\n");
    let stages = [LOGIN, &install("echo installed"), &unlocked];
    let boot: Vec<_> = installed().into_iter().take(1).collect();
    let asks = Story::new(boot).and([
        crate::story::after_cont(60, Act::Serial("Enter passphrase for /dev/vda: ".to_owned(), 0)),
        on(
            "console",
            50,
            Act::Serial(
                "\r\nWelcome to Fake\r\nReached target graphical.target\r\n".to_owned(),
                5,
            ),
        ),
    ]);
    let finished = run("passphrase", &behind, &stages, vec![Story::new(live()), asks.clone()]).await;
    let finished = finished.comes_to("passed every-claim-proved Releasing 0");
    assert!(finished.states().contains(&"Unlocking"));
    assert!(!finished.printed.contains("canary-passphrase"));

    let behind = Behind::new(|_| {}).await;
    let mut again = asks;
    let last = again.beats.len() - 1;
    again.beats[last].act = Act::Serial("\r\nSorry.\r\nEnter passphrase for /dev/vda: ".to_owned(), 5);
    let finished = run("wrong passphrase", &behind, &stages, vec![Story::new(live()), again]).await;
    finished.comes_to("failed passphrase-rejected Unlocking 1");
}
