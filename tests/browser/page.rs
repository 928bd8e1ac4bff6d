//! Pages to look at, each written by the program itself from a run's directory.

use std::fmt::Write as _;
use std::path::{Path, PathBuf};
use std::process::Command;

/// A run and its page.
pub(crate) struct Page(tempfile::TempDir);

impl Page {
    fn of(run: &Path, change: impl FnOnce(&Path)) -> Self {
        let directory = tempfile::tempdir().unwrap();
        copy(run, directory.path());
        change(directory.path());
        let status = Command::new(env!("CARGO_BIN_EXE_bootgate"))
            .arg("report")
            .arg(directory.path())
            .output()
            .unwrap();
        assert!(status.status.success(), "{}", String::from_utf8_lossy(&status.stderr));
        Self(directory)
    }

    /// The page's file.
    pub(crate) fn path(&self) -> PathBuf {
        self.0.path().join("report.html")
    }

    /// A run of fixtures/runs as it was recorded.
    pub(crate) fn recorded(name: &str) -> Self {
        Self::of(&recording(name), |_| ())
    }

    /// A failed run with everything that a page can show.
    pub(crate) fn of_everything() -> Self {
        Self::of(&recording("kernel-panic-under-the-installer"), |run| {
            let result = Path::new(env!("CARGO_MANIFEST_DIR")).join("tests/browser/result.json");
            std::fs::copy(result, run.join("result.json")).unwrap();
            let qmp = r#"{"t_us":23900000,"dir":"rx","line":"{\"event\": \"STOP\", \"data\": {}}"}"#;
            std::fs::write(run.join("qmp.jsonl"), format!("{qmp}\n")).unwrap();
            std::fs::write(run.join("argv.txt"), "qemu-system-x86_64 -S \\\n  -machine q35\n").unwrap();
            std::fs::create_dir(run.join("screens")).unwrap();
            for (name, shade) in [
                ("screens/0004-Booting.png", 20),
                ("screens/0006-MarkerSeen.png", 60),
                ("screen-1.png", 90),
            ] {
                std::fs::write(run.join(name), screen(shade)).unwrap();
            }
            std::fs::write(run.join("screen-1.txt"), "live login: \n").unwrap();
            let mut console = std::fs::read(run.join("serial.log")).unwrap();
            for (colour, word) in [
                (31, "red"),
                (32, "green"),
                (33, "yellow"),
                (34, "blue"),
                (35, "magenta"),
                (36, "cyan"),
                (90, "grey"),
            ] {
                let line =
                    format!("\x1b[{colour}mneedle\x1b[0m \x1b[1;{colour}m{word}\x1b[0m \x1b[7mturned\x1b[27m\r\n");
                console.extend(
                    line.replace("needle", if colour < 34 { "needle" } else { "hay" })
                        .into_bytes(),
                );
            }
            for back in 40..48 {
                console.extend(
                    format!(
                        "\x1b[{back}mon colour {back}\x1b[0m \x1b[38;5;{}mby number\x1b[0m\r\n",
                        back - 40
                    )
                    .into_bytes(),
                );
            }
            std::fs::write(run.join("serial.log"), console).unwrap();
        })
    }

    /// A failed run whose guest means harm.
    pub(crate) fn hostile() -> Self {
        const HARM: &str = "<script>owned=1</script><img src=x onerror=owned=1></script><!-- \u{202e}\u{2028}]]>\u{1b}]0;x\u{7}\u{1b}[2J'\"&amp;";
        Self::of(&recording("kernel-panic-under-the-installer"), |run| {
            let lines = format!("{HARM}\r\n").repeat(50);
            for name in ["serial.log", "ssh/install.log"] {
                std::fs::write(run.join(name), &lines).unwrap();
            }
            let result = serde_json::json!({
                "run": HARM, "gate": HARM, "gate_file": HARM, "started": HARM,
                "verdict": { "class": "failed", "title": HARM, "detail": HARM, "remedy": HARM, "stage": HARM, "state": HARM, "cause": HARM,
                    "evidence": { "file": "serial.log", "offset_bytes": 5, "quote": HARM } },
                "stages": [{ "name": HARM, "outcome": HARM, "remarks": [HARM], "findings": [{ "title": HARM, "class": HARM, "rule": HARM, "evidence": {"file": HARM} }] }],
                "host": { "qemu": HARM, "firmware": HARM }, "bundle": { "path": HARM }, "consoles": [{ "file": HARM }],
            });
            std::fs::write(run.join("result.json"), result.to_string()).unwrap();
            for name in ["argv.txt", "gate.toml"] {
                std::fs::write(run.join(name), HARM).unwrap();
            }
        })
    }

    /// A run whose console holds this many bytes.
    pub(crate) fn with_console(size_bytes: usize) -> Self {
        Self::of(&recording("kernel-panic"), |run| {
            let mut console = String::with_capacity(size_bytes + 100);
            for number in 0.. {
                if console.len() >= size_bytes {
                    break;
                }
                let _ = write!(
                    console,
                    "[{number:12}.000000] \x1b[32mOK\x1b[0m Started unit number {number} of the noise\r\n"
                );
            }
            console.push_str("the last line\r\n");
            std::fs::write(run.join("serial.log"), console).unwrap();
        })
    }
}

fn recording(name: &str) -> PathBuf {
    Path::new(env!("CARGO_MANIFEST_DIR")).join("fixtures/runs").join(name)
}

fn copy(from: &Path, to: &Path) {
    for entry in std::fs::read_dir(from).unwrap().map(Result::unwrap) {
        let to = to.join(entry.file_name());
        if entry.file_type().unwrap().is_dir() {
            std::fs::create_dir(&to).unwrap();
            copy(&entry.path(), &to);
        } else {
            std::fs::copy(entry.path(), &to).unwrap();
        }
    }
}

/// A screen of one shade.
fn screen(shade: u8) -> Vec<u8> {
    let (width, height) = (720, 400);
    let mut picture = Vec::new();
    let mut encoder = png::Encoder::new(&mut picture, width, height);
    encoder.set_color(png::ColorType::Grayscale);
    let mut writer = encoder.write_header().unwrap();
    writer
        .write_image_data(&vec![shade; (width * height) as usize])
        .unwrap();
    writer.finish().unwrap();
    picture
}
