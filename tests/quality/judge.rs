//! Recorded speech, and what listeners would say of it (PESQ-WB and STOI by `judge.py` beside this): for every bench that asks.

use std::path::{Path, PathBuf};
use std::process::Command;

const SPEECH: &str = "/usr/share/sounds/alsa";
/// Of the prompts, and of every file.
const SAMPLE_RATE: u32 = 48_000;

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
    root: &'static Path,
    python: PathBuf,
    folder: PathBuf,
}

impl Judge {
    /// For the project whose root this is; its files go into a folder of this name under the target folder. None without the Python
    /// environment.
    pub fn new(root: &'static str, name: &str) -> Option<Self> {
        let root = Path::new(root);
        let target = std::env::var_os("CARGO_TARGET_DIR").map_or_else(|| PathBuf::from("target"), PathBuf::from);
        let target = if target.is_absolute() { target } else { root.join(target) };
        let (python, folder) = (target.join("venv/bin/python"), target.join(name));
        std::fs::create_dir_all(&folder).ok()?;
        python.exists().then_some(Self { root, python, folder })
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
        let script = self.root.join("tests/quality/judge.py");
        let output = Command::new(&self.python).arg(script).arg(reference).args(heard).output().expect("judged");
        assert!(output.status.success(), "judge.py: {}", String::from_utf8_lossy(&output.stderr));
        let text = String::from_utf8_lossy(&output.stdout);
        let figures: Vec<f64> = text.split_whitespace().map(|word| word.parse().expect("a figure")).collect();
        figures.chunks_exact(2).map(|pair| Verdict { pesq: pair[0], stoi: pair[1] }).collect()
    }
}
