//! Settings between their file, the command line and the rooms: what was said for this time goes before what is set for always.

use super::Failure;
use crate::audio::{self, HrtfChoice, InputChoice, OutputChoice, SpaceChoice, VoiceMode};
use crate::cli::{Common, ConfigAction, ConfigPlace};
use crate::settings::{Problem, SETTINGS, Setting, Settings, Values, WriteError};
use crate::ui;
use std::io::Write;

impl From<WriteError> for Failure {
    fn from(error: WriteError) -> Self {
        Failure::Usage(error.to_string())
    }
}

/// Carries out `resonance config …`.
///
/// # Errors
/// In words that say what to do; also when something is wrong with the file.
pub fn run(what: &ConfigAction) -> Result<(), Failure> {
    let (ConfigAction::Init { place } | ConfigAction::Show { place }) = what;
    let ConfigPlace { config, data_dir } = place;
    let settings = Settings::load(config.as_deref(), data_dir.as_deref());
    let mut out = std::io::stdout().lock();
    match what {
        ConfigAction::Init { .. } => {
            let file = settings.write_default(ui::declared_keys())?;
            let _ = writeln!(out, "{}", file.display());
        }
        ConfigAction::Show { .. } => {
            let values = settings.values();
            for setting in SETTINGS {
                let whence = if values.is_set(setting) { "" } else { "  (as it comes)" };
                let _ = writeln!(out, "{:<18} {}{whence}", setting.path(), values.get(setting));
            }
            for (deed, keys) in &values.keys {
                let _ = writeln!(out, "{:<18} {}", format!("keys.{deed}"), keys.join(" "));
            }
            let file = settings.file().map_or_else(|| "nowhere".to_owned(), |file| file.display().to_string());
            let _ = writeln!(out, "Kept in {file}");
            let problems: Vec<String> = problems(&settings).iter().map(|problem| problem.told(&file)).collect();
            if !problems.is_empty() {
                return Err(Failure::Usage(problems.join("\nresonance: ")));
            }
        }
    }
    Ok(())
}

/// Everything that is wrong with what is set.
pub fn problems(settings: &Settings) -> Vec<Problem> {
    let values = settings.values();
    let mut problems = settings.problems().to_vec();
    let keys = ui::key_problems(&values.keys);
    problems
        .extend(keys.into_iter().map(|(deed, what)| Problem { line: settings.line(&format!("keys.{deed}")), what }));
    let mut device = |setting: &Setting, error: audio::choice::ChoiceError| {
        let path = setting.path();
        problems.push(Problem { line: settings.line(&path), what: format!("`{path}`: {error}.") });
    };
    if let Err(error) = values.get(Setting::INPUT).parse::<InputChoice>() {
        device(Setting::INPUT, error);
    }
    if let Err(error) = values.get(Setting::HRTF).parse::<HrtfChoice>() {
        device(Setting::HRTF, error);
    }
    if let Err(error) = values.get(Setting::OUTPUT).parse::<OutputChoice>() {
        device(Setting::OUTPUT, error);
    }
    // In the order in which one reads the file.
    problems.sort_by_key(|problem| problem.line);
    problems
}

/// The same, as a face tells it: by the file's name, since its place is long and shown with the settings.
pub fn problems_told(settings: &Settings) -> Vec<String> {
    let name = settings.file().and_then(std::path::Path::file_name).unwrap_or_default().to_string_lossy().into_owned();
    problems(settings).iter().map(|problem| problem.told(&name)).collect()
}

/// The command line, completed with what is set. Only the screen goes by a setting that it can tell is wrong.
///
/// # Errors
/// A device that is set makes no sense, and nothing else was asked for.
pub fn completed(mut common: Common, settings: &Settings) -> Result<Common, Failure> {
    let values = settings.values();
    let usage = |setting: &Setting, error: audio::choice::ChoiceError| {
        Failure::Usage(format!("`{}` is set to something that is none: {error}.", setting.path()))
    };
    if common.input.is_none() {
        let input = values.get(Setting::INPUT).parse();
        common.input = Some(input.map_err(|error| usage(Setting::INPUT, error))?);
    }
    if common.output.is_none() {
        let output = values.get(Setting::OUTPUT).parse();
        common.output = Some(output.map_err(|error| usage(Setting::OUTPUT, error))?);
    }
    let voice = values.get(Setting::VOICE).parse().unwrap_or_default();
    common.voice = common.voice.or(Some(voice));
    common.voice_engine = common.voice_engine.or(values.get(Setting::VOICE_ENGINE).parse().ok());
    let packet = values.get(Setting::PACKET).parse().unwrap_or_default();
    common.frame_ms = common.frame_ms.or(Some(packet));
    common.unlisted |= !values.is_on(Setting::TELL_ROOMS);
    common.dtx |= values.is_on(Setting::DTX);
    common.ears = common.ears.or(values.get(Setting::EARS).parse().ok());
    common.acoustics = common.acoustics.or(values.get(Setting::ACOUSTICS).parse().ok());
    if common.hrtf.is_none() {
        common.hrtf = Some(values.get(Setting::HRTF).parse().map_err(|error| usage(Setting::HRTF, error))?);
    }
    Ok(common)
}

/// What is set, with what holds for this time only.
pub fn shown(common: &Common, settings: &Settings) -> Values {
    let mut values = settings.values().clone();
    let said = [
        (Setting::NAME, common.name.clone()),
        (Setting::INPUT, common.input.as_ref().map(ToString::to_string)),
        (Setting::OUTPUT, common.output.as_ref().map(ToString::to_string)),
        (Setting::VOICE, common.voice.as_ref().map(ToString::to_string)),
        (Setting::VOICE_ENGINE, common.voice_engine.as_ref().map(ToString::to_string)),
        (Setting::PACKET, common.frame_ms.as_ref().map(ToString::to_string)),
        (Setting::DTX, common.dtx.then(|| "true".to_owned())),
        (Setting::EARS, common.ears.as_ref().map(ToString::to_string)),
        (Setting::ACOUSTICS, common.acoustics.as_ref().map(ToString::to_string)),
        (Setting::HRTF, common.hrtf.as_ref().map(ToString::to_string)),
        (Setting::TELL_ROOMS, common.unlisted.then(|| "false".to_owned())),
    ];
    for (setting, value) in said {
        // What the command line takes and the settings do not is left out: it holds all the same.
        let _ = value.map(|value| values.set(setting, &value));
    }
    values
}

/// What the audio room begins with.
pub fn audio(common: &Common) -> audio::Config {
    audio::Config {
        input: common.input.clone().unwrap_or(InputChoice::Default),
        output: common.output.clone().unwrap_or(OutputChoice::Default),
        voice: common.voice.unwrap_or(VoiceMode::Auto),
        voice_engine: common.voice_engine.unwrap_or_default(),
        packet: common.frame_ms.unwrap_or_default(),
        pauses: if common.dtx { audio::Pauses::Spared } else { audio::Pauses::Sent },
        space: SpaceChoice {
            hrtf: common.hrtf.clone().unwrap_or_default(),
            acoustics: common.acoustics.unwrap_or_default(),
            ears: common.ears.unwrap_or_default(),
        },
    }
}
