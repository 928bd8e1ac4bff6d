//! Finding a QEMU binary and asking it what it can do.

use std::io;
use std::path::{Path, PathBuf};
use std::process::Command;
use std::time::Duration;

use nix::unistd::{AccessFlags, access};

use super::child::{self, Finished, Limits};
use super::feature::{DEVICES_USED, FeatureError, Features, HelpTexts, usable_version};

/// How long a binary may take for one answer. It needs some 30 ms; a loaded machine needs more.
const ANSWER_DEADLINE: Duration = Duration::from_secs(20);
/// Bytes of one answer. `-help` is some 35 kB.
const ANSWER_BYTES_MAX: usize = 1024 * 1024;

/// Why there is no usable QEMU binary.
#[derive(Debug, thiserror::Error)]
pub enum BinaryError {
    /// No such file, or no such name in `PATH`.
    #[error("there is no `{}`{}", .wanted.display(), in_path(.wanted))]
    NotFound {
        /// What was looked for.
        wanted: PathBuf,
    },
    /// The file is there and can't be run.
    #[error("`{}` is not an executable file", .path.display())]
    NotExecutable {
        /// The file.
        path: PathBuf,
    },
    /// The binary could not be started.
    #[error("`{}` can't be started: {source}", .path.display())]
    NotStarted {
        /// The file.
        path: PathBuf,
        /// The reason.
        source: io::Error,
    },
    /// The binary was started and did not answer.
    #[error("`{} {question}` {how}{}", .path.display(), said(.complaint))]
    NoAnswer {
        /// The file.
        path: PathBuf,
        /// The arguments.
        question: String,
        /// How it ended, as a clause.
        how: String,
        /// What it said on standard error.
        complaint: String,
    },
    /// The binary answered, and is not one that bootgate can work with.
    #[error("`{}` can't be used: {source}", .path.display())]
    Unusable {
        /// The file.
        path: PathBuf,
        /// The reason.
        source: FeatureError,
    },
}

fn in_path(wanted: &Path) -> &'static str {
    if has_directory(wanted) {
        ""
    } else {
        ": no directory of PATH has it"
    }
}

pub(super) fn said(complaint: &str) -> String {
    if complaint.is_empty() {
        String::new()
    } else {
        format!(": {complaint}")
    }
}

impl BinaryError {
    /// What a person does about it.
    pub fn mend(&self) -> String {
        const INSTALL: &str = "install QEMU 7.2 or newer (Debian and Ubuntu: `apt install qemu-system-x86`; \
             Fedora: `dnf install qemu-system-x86`; Arch: `pacman -S qemu-system-x86`)";
        match self {
            Self::NotFound { .. } | Self::Unusable { .. } => {
                format!("{INSTALL}, or set `qemu` under `[machine]` to the binary")
            }
            Self::NotExecutable { path } => format!("run `chmod +x {}`, or name another file", path.display()),
            Self::NotStarted { path, .. } | Self::NoAnswer { path, .. } => {
                format!(
                    "run `{} --version` by hand and mend what it complains about",
                    path.display()
                )
            }
        }
    }
}

/// A QEMU that can be used.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Qemu {
    /// The binary, an absolute path.
    pub binary: PathBuf,
    /// Directories of its own data (`-L`), in search order. Empty: where it was built to look.
    pub data_dirs: Vec<PathBuf>,
    /// What it can do.
    pub features: Features,
}

impl Qemu {
    /// Finds a binary by path or by name and asks it what it can do.
    pub async fn find(wanted: &Path, data_dirs: Vec<PathBuf>) -> Result<Self, BinaryError> {
        let binary = locate(wanted)?;
        let features = probe(&binary).await?;
        Ok(Self {
            binary,
            data_dirs,
            features,
        })
    }
}

fn has_directory(name: &Path) -> bool {
    name.components().count() > 1 || name.is_absolute()
}

/// The binary behind a path, or behind a name in `PATH`, as an absolute path.
pub fn locate(wanted: &Path) -> Result<PathBuf, BinaryError> {
    let path = std::env::var_os("PATH").unwrap_or_default();
    let dirs = if has_directory(wanted) {
        vec![PathBuf::new()]
    } else {
        std::env::split_paths(&path).collect()
    };
    locate_in(wanted, &dirs)
}

fn locate_in(wanted: &Path, dirs: &[PathBuf]) -> Result<PathBuf, BinaryError> {
    let mut not_executable = None;
    for candidate in dirs.iter().map(|dir| dir.join(wanted)) {
        if !candidate.exists() {
            continue;
        }
        if candidate.is_file() && access(&candidate, AccessFlags::X_OK).is_ok() {
            return Ok(std::path::absolute(&candidate).unwrap_or(candidate));
        }
        not_executable.get_or_insert(candidate);
    }
    Err(not_executable.map_or_else(
        || BinaryError::NotFound {
            wanted: wanted.to_path_buf(),
        },
        |path| BinaryError::NotExecutable { path },
    ))
}

/// Asks a binary what it can do. Takes well under a second.
pub async fn probe(binary: &Path) -> Result<Features, BinaryError> {
    let unusable = |source| BinaryError::Unusable {
        path: binary.to_path_buf(),
        source,
    };
    let mut texts = HelpTexts {
        version: answer(binary, &["--version"]).await?,
        ..HelpTexts::default()
    };
    // What is not QEMU is not asked five times.
    usable_version(&texts.version).map_err(unusable)?;
    texts.sandbox_accepted = ask(binary, &["-sandbox", "on", "-machine", "help"]).await?.succeeded();
    (texts.help, texts.accel, texts.machine, texts.device) = futures::try_join!(
        answer(binary, &["-help"]),
        answer(binary, &["-accel", "help"]),
        answer(binary, &["-machine", "help"]),
        devices(binary),
    )?;
    Features::parse(&texts).map_err(unusable)
}

/// The directories in which a binary looks for its own data, in search order.
pub async fn data_path(binary: &Path) -> Result<Vec<PathBuf>, BinaryError> {
    let directories = answer(binary, &["-L", "help"]).await?;
    Ok(directories.lines().map(PathBuf::from).collect())
}

/// `-device help` loads each module, and aborts when the modules of another QEMU are installed where this one looks for
/// its own. Then each device is asked for by name, which loads what that device needs and no more.
async fn devices(binary: &Path) -> Result<String, BinaryError> {
    let all = ask(binary, &["-device", "help"]).await?;
    if all.succeeded() {
        return Ok(String::from_utf8_lossy(&all.stdout).into_owned());
    }
    let mut texts = String::new();
    for name in DEVICES_USED {
        let one = ask(binary, &["-device", &format!("{name},help")]).await?;
        texts += &String::from_utf8_lossy(&one.stdout);
    }
    Ok(texts)
}

async fn ask(binary: &Path, question: &[&str]) -> Result<Finished, BinaryError> {
    let limits = Limits {
        deadline: ANSWER_DEADLINE,
        stdout_bytes_max: ANSWER_BYTES_MAX,
    };
    let mut command = Command::new(binary);
    command.args(question);
    child::run(command, limits)
        .await
        .map_err(|source| BinaryError::NotStarted {
            path: binary.to_path_buf(),
            source,
        })
}

async fn answer(binary: &Path, question: &[&str]) -> Result<String, BinaryError> {
    let finished = ask(binary, question).await?;
    if !finished.succeeded() {
        return Err(BinaryError::NoAnswer {
            path: binary.to_path_buf(),
            question: question.join(" "),
            how: finished.how(),
            complaint: finished.complaint(),
        });
    }
    Ok(String::from_utf8_lossy(&finished.stdout).into_owned())
}

#[cfg(test)]
mod tests {
    use super::*;
    use std::fs;
    use std::os::unix::fs::PermissionsExt as _;

    fn script(dir: &Path, name: &str, mode: u32, text: &str) -> PathBuf {
        let path = dir.join(name);
        fs::write(&path, text).unwrap();
        fs::set_permissions(&path, fs::Permissions::from_mode(mode)).unwrap();
        path
    }

    #[test]
    fn a_name_is_looked_up_in_order() {
        let dir = tempfile::tempdir().unwrap();
        let dirs = ["a", "b", "c"].map(|name| dir.path().join(name));
        for path in &dirs {
            fs::create_dir(path).unwrap();
        }
        script(&dirs[0], "qemu", 0o644, "");
        let wanted = Path::new("qemu");
        assert!(matches!(
            locate_in(wanted, &dirs),
            Err(BinaryError::NotExecutable { .. })
        ));
        let right = script(&dirs[1], "qemu", 0o755, "");
        script(&dirs[2], "qemu", 0o755, "");
        assert_eq!(locate_in(wanted, &dirs).unwrap(), right);
        let missing = locate_in(Path::new("qemu-x"), &dirs).unwrap_err();
        assert_eq!(missing.to_string(), "there is no `qemu-x`: no directory of PATH has it");
        assert!(missing.mend().contains("apt install qemu-system-x86"));
    }

    #[tokio::test]
    async fn what_is_not_qemu_says_so() {
        let echo = locate(Path::new("echo")).unwrap();
        let error = probe(&echo).await.unwrap_err();
        assert!(
            error.to_string().contains("it is not a QEMU system emulator"),
            "{error}"
        );
        let broken = locate(Path::new("false")).unwrap();
        let error = probe(&broken).await.unwrap_err();
        assert!(error.to_string().contains("--version` exited with status 1"), "{error}");
        let dir = tempfile::tempdir().unwrap();
        let broken = script(dir.path(), "broken", 0o755, "#!/nonexistent/interpreter\n");
        assert!(matches!(probe(&broken).await, Err(BinaryError::NotStarted { .. })));
    }
}
