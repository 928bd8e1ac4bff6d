//! What is saved of a guest that was stopped. Each piece has its own deadline, and none can lose the ones before it.

use std::path::Path;
use std::time::Duration;

use serde_json::{Map, Value};

use crate::evidence::{RunDir, ppm_to_png, write_atomically};
use crate::qmp::Qmp;
use crate::serial::console::Console;
use crate::serial::screen;

/// How long each piece may take.
const PIECE_WITHIN: Duration = Duration::from_secs(3);

/// Pages of the human monitor, for what QMP does not tell.
const PAGES: [(&str, &str); 3] = [
    ("registers", "info registers -a"),
    ("network", "info network"),
    ("devices", "info qtree"),
];
/// What QMP tells about the machine.
const QUERIES: [&str; 7] = [
    "query-status",
    "query-cpus-fast",
    "query-block",
    "query-named-block-nodes",
    "query-blockstats",
    "query-jobs",
    "query-migrate",
];

/// Saves screen, console, registers and block devices into the run directory; gives what could not be saved, with the
/// reason.
pub(super) async fn capture(qmp: &Qmp, console: &Console, run: &RunDir, number: u64) -> Vec<String> {
    let mut missing = Vec::new();
    let mut note = |what: &str, saved: Result<(), String>| {
        if let Err(why) = saved {
            missing.push(format!("{what} ({why})"));
        }
    };
    let path = |name: &str| run.path().join(name);
    note(
        "screen",
        self::screen(qmp, &path(&format!("screen-{number}.png"))).await,
    );
    let serial = serial_screen(console);
    note(
        "serial screen",
        save(run, &format!("screen-{number}.txt"), serial.as_bytes()),
    );
    for (name, page) in PAGES {
        let text = qmp.human(page, PIECE_WITHIN).await.map_err(|error| error.to_string());
        note(
            name,
            text.and_then(|text| save(run, &format!("{name}-{number}.txt"), text.as_bytes())),
        );
    }
    note("machine", machine(qmp, run, number).await);
    missing
}

async fn machine(qmp: &Qmp, run: &RunDir, number: u64) -> Result<(), String> {
    let mut answers = Map::new();
    for query in QUERIES {
        let answer = match qmp.execute_raw(query, Value::Null, PIECE_WITHIN).await {
            Ok(answer) => answer,
            Err(error) => serde_json::json!({ "error": error.to_string() }),
        };
        answers.insert(query.to_owned(), answer);
    }
    let bytes = serde_json::to_vec_pretty(&answers).map_err(|error| error.to_string())?;
    save(run, &format!("machine-{number}.json"), &bytes)
}

/// Saves the screen as PNG. QEMU writes PPM: while it writes PNG by itself, a full disk makes it abort (measured with 7.2 and
/// 10.0), and the machine would be gone.
pub(super) async fn screen(qmp: &Qmp, png: &Path) -> Result<(), String> {
    let ppm = png.with_extension("ppm");
    let saved = async {
        let dumped = qmp.screendump_ppm(&ppm, PIECE_WITHIN).await;
        dumped.map_err(|error| error.to_string())?;
        let pixels = tokio::fs::read(&ppm).await.map_err(|error| error.to_string())?;
        let image = ppm_to_png(&pixels).map_err(|error| error.to_string())?;
        write_atomically(png, &image).map_err(|error| error.to_string())
    };
    let saved = saved.await;
    let _ = tokio::fs::remove_file(&ppm).await;
    saved
}

/// The last screen of the serial console, as a terminal would show it.
pub(super) fn serial_screen(console: &Console) -> String {
    let (recent, _) = console.attach();
    screen::render(&recent).text()
}

fn save(run: &RunDir, name: &str, bytes: &[u8]) -> Result<(), String> {
    let path = run.path().join(name);
    let written = run.reserve().retry_evidence(|| write_atomically(&path, bytes));
    written.map_err(|error| error.to_string())
}
