//! Recorded speech, and what listeners would say of it (PESQ-WB and STOI by `tests/quality/judge.py`).

use resonance_voice::SAMPLE_RATE;
use std::path::{Path, PathBuf};
use std::process::Command;

const SPEECH: &str = "/usr/share/sounds/alsa";
const ROOT: &str = concat!(env!("CARGO_MANIFEST_DIR"), "/..");

/// The recorded prompts, each with a tenth of a second of silence behind it.
pub fn prompts() -> Option<Vec<Vec<f32>>> {
    let mut files: Vec<PathBuf> = std::fs::read_dir(SPEECH).ok()?.flatten().map(|entry| entry.path()).collect();
    files.retain(|file| !file.ends_with("Noise.wav"));
    files.sort();
    let prompt = |file: &PathBuf| {
        let reader = hound::WavReader::open(file).ok()?;
        let spoken = reader.into_samples::<i16>().flatten().map(|sample| f32::from(sample) / 32_768.0);
        Some(spoken.chain([0.0; SAMPLE_RATE as usize / 10]).collect())
    };
    files.iter().map(prompt).collect::<Option<Vec<_>>>().filter(|prompts| prompts.len() == 8)
}

/// What a judge says.
#[derive(Clone, Copy)]
pub struct Verdict {
    pub pesq: f64,
    pub stoi: f64,
}

/// Writes what was heard into a folder, for the script and for ears.
pub struct Judge {
    python: PathBuf,
    folder: PathBuf,
}

impl Judge {
    /// None without the Python environment.
    pub fn new() -> Option<Self> {
        let target = std::env::var_os("CARGO_TARGET_DIR").map_or_else(|| PathBuf::from("target"), PathBuf::from);
        let target = if target.is_absolute() { target } else { Path::new(ROOT).join(target) };
        let (python, folder) = (target.join("venv/bin/python"), target.join("quality/voice"));
        std::fs::create_dir_all(&folder).ok()?;
        python.exists().then_some(Self { python, folder })
    }

    pub fn write(&self, name: &str, sound: &[f32]) -> PathBuf {
        let path = self.folder.join(format!("{name}.wav"));
        let spec = hound::WavSpec {
            channels: 1,
            sample_rate: SAMPLE_RATE,
            bits_per_sample: 16,
            sample_format: hound::SampleFormat::Int,
        };
        let mut writer = hound::WavWriter::create(&path, spec).expect("a file");
        for sample in sound {
            writer.write_sample((sample.clamp(-1.0, 1.0) * 32_767.0) as i16).expect("written");
        }
        writer.finalize().expect("written");
        path
    }

    pub fn verdicts(&self, reference: &Path, heard: &[PathBuf]) -> Vec<Verdict> {
        let script = Path::new(ROOT).join("tests/quality/judge.py");
        let output = Command::new(&self.python).arg(script).arg(reference).args(heard).output().expect("judged");
        assert!(output.status.success(), "judge.py: {}", String::from_utf8_lossy(&output.stderr));
        let text = String::from_utf8_lossy(&output.stdout);
        let figures: Vec<f64> = text.split_whitespace().map(|word| word.parse().expect("a figure")).collect();
        figures.chunks_exact(2).map(|pair| Verdict { pesq: pair[0], stoi: pair[1] }).collect()
    }
}
