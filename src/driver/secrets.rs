//! Where secrets are turned from names into values, once, before anything is started.

use std::io::Read;
use std::path::Path;

use crate::plan::{OpenBy, Plan, Prompt, PromptChannel, Secret, SecretSource, StageKind};
use crate::qemu::keymap;
use crate::ssh::{Auth, MadeKey};
use crate::text::Redactor;

/// The largest file that is read as a secret, in bytes.
const SECRET_BYTES_MAX: u64 = 64 * 1024;

/// The secrets of a plan: what each stage logs in with, and what it answers a passphrase prompt with.
#[derive(Clone, Default)]
pub struct Secrets {
    logins: Vec<Option<(String, Auth)>>,
    answers: Vec<Option<Secret>>,
    /// The key that is made for the run, where the gate opens the image with one.
    key: Option<MadeKey>,
    /// The password of the login on the console.
    console_password: Option<Secret>,
    all: Vec<Secret>,
}

impl Secrets {
    /// Reads every secret that the plan names. Gives all mistakes at once.
    pub fn read(plan: &Plan) -> Result<Self, Vec<String>> {
        let mut secrets = Self::default();
        let mut mistakes: Vec<(String, Vec<&str>)> = Vec::new();
        // Stages mostly share a login, and a mistake in it is one mistake.
        let mut add = |mistake: String, stage| match mistakes.iter_mut().find(|(known, _)| *known == mistake) {
            Some((_, stages)) => stages.push(stage),
            None => mistakes.push((mistake, vec![stage])),
        };
        if let Some(open_by) = plan.ssh.as_ref().and_then(|ssh| ssh.open_by.as_ref()) {
            match MadeKey::make("bootgate-run") {
                Ok(key) => secrets.key = Some(key),
                Err(error) => add(format!("no key could be made: {error}"), ""),
            }
            if let OpenBy::SerialLogin(login) = open_by
                && let Some(source) = &login.password
            {
                match secrets.value(source, false) {
                    Ok(password) => secrets.console_password = Some(password),
                    Err(mistake) => add(format!("the password of the serial login {mistake}"), ""),
                }
            }
        }
        for (index, stage) in plan.stages.iter().enumerate() {
            let login = secrets.login(plan, index).unwrap_or_else(|mistake| {
                add(mistake, &stage.name);
                None
            });
            secrets.logins.push(login);
            let answer = match &stage.kind {
                StageKind::InstalledBoot {
                    unlock: Some(prompt), ..
                } => secrets
                    .value(&prompt.answer, false)
                    .and_then(|answer| typable(prompt, answer))
                    .map(Some),
                _ => Ok(None),
            };
            secrets.answers.push(answer.unwrap_or_else(|mistake| {
                add(format!("the answer to the prompt {mistake}"), &stage.name);
                None
            }));
        }
        if mistakes.is_empty() {
            Ok(secrets)
        } else {
            Err(mistakes.iter().map(told).collect())
        }
    }

    fn login(&mut self, plan: &Plan, stage: usize) -> Result<Option<(String, Auth)>, String> {
        let Some(login) = plan.login(stage) else {
            return Ok(None);
        };
        let auth = match (&login.key, &login.password) {
            (Some(key), _) => {
                let text = self
                    .value(key, true)
                    .map_err(|mistake| format!("the SSH key {mistake}"))?;
                Auth::key(&text).map_err(|error| format!("the SSH key can't be used: {error}"))?
            }
            (None, Some(password)) => {
                let password = self.value(password, false);
                Auth::Password(password.map_err(|mistake| format!("the SSH password {mistake}"))?)
            }
            (None, None) if self.key.is_some() => return self.made_login(plan, stage, login.user),
            (None, None) => return Err("the [ssh] table has neither password nor key".to_owned()),
        };
        Ok(Some((login.user, auth)))
    }

    /// The login with the key that is made for the run: the live system alone knows it.
    fn made_login(&self, plan: &Plan, stage: usize, user: String) -> Result<Option<(String, Auth)>, String> {
        if let StageKind::InstalledBoot { verify_ssh, .. } = plan.stages[stage].kind {
            if !verify_ssh {
                return Ok(None);
            }
            let mistake = "logs in to the installed system, which does not know the key that `open-by` makes: give the \
                           stage an `ssh` table with a password or a key";
            return Err(mistake.to_owned());
        }
        if plan.ssh.as_ref().is_some_and(|ssh| ssh.user != user) {
            return Err(format!("`open-by` lets only the user of `[ssh]` in, not `{user}`"));
        }
        Ok(self.key.as_ref().map(|key| (user, key.auth.clone())))
    }

    fn value(&mut self, source: &SecretSource, whole_file: bool) -> Result<Secret, String> {
        let secret = match source {
            SecretSource::Inline(secret) => secret.clone(),
            SecretSource::Environment(name) => match std::env::var(name) {
                Ok(value) => Secret::new(value),
                Err(_) => {
                    return Err(format!(
                        "is to come from the environment variable `{name}`, which is not set"
                    ));
                }
            },
            SecretSource::File(path) => Secret::new(read(path, whole_file)?),
        };
        self.all.push(secret.clone());
        Ok(secret)
    }

    /// User and proof for a stage's logins.
    pub(super) fn login_of(&self, stage: usize) -> Option<(String, Auth)> {
        self.logins.get(stage).cloned().flatten()
    }

    /// The key that is made for the run.
    pub(super) fn run_key(&self) -> Option<&MadeKey> {
        self.key.as_ref()
    }

    /// The password of the login on the console.
    pub(super) fn console_password(&self) -> Option<Secret> {
        self.console_password.clone()
    }

    /// The answer to a stage's passphrase prompt.
    pub(super) fn answer_of(&self, stage: usize) -> Option<Secret> {
        self.answers.get(stage).cloned().flatten()
    }

    /// What takes the secrets out of every text that is kept or shown.
    pub(super) fn redactor(&self) -> Redactor {
        Redactor::new(self.all.iter())
    }
}

/// What is only asked for on the screen must be on the keyboard; with a choice of both, the machine decides when it asks.
fn typable(prompt: &Prompt, answer: Secret) -> Result<Secret, String> {
    match keymap::line(answer.expose()) {
        Err(error) if prompt.channel == PromptChannel::Screen => {
            Err(format!("can't be typed on the screen that asks for it: its {error}"))
        }
        _ => Ok(answer),
    }
}

/// What proves who we are, from where a person says that it is. The error is a clause.
pub fn read_auth(source: &SecretSource, is_key: bool) -> Result<Auth, String> {
    let text = Secrets::default().value(source, is_key)?;
    if is_key {
        Auth::key(&text).map_err(|error| format!("can't be used: {error}"))
    } else {
        Ok(Auth::Password(text))
    }
}

/// A mistake with the stages that it is about.
fn told((mistake, stages): &(String, Vec<&str>)) -> String {
    // What is of the whole gate names no stage.
    if stages.iter().all(|stage| stage.is_empty()) {
        return mistake.clone();
    }
    let noun = if stages.len() == 1 { "stage" } else { "stages" };
    format!("{noun} `{}`: {mistake}", stages.join("`, `"))
}

fn read(path: &Path, whole: bool) -> Result<String, String> {
    let problem = |error: std::io::Error| format!("is to come from `{}`, which can't be read: {error}", path.display());
    let mut text = String::new();
    let file = std::fs::File::open(path).map_err(problem)?;
    file.take(SECRET_BYTES_MAX).read_to_string(&mut text).map_err(problem)?;
    if whole {
        return Ok(text);
    }
    Ok(text.lines().next().unwrap_or_default().to_owned())
}
