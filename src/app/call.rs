//! One session from start to end: makes the rooms, carries their words, feeds a face.

use super::addresses::{as_helper, hints_of, own_addresses};
use super::process::{StopSignals, standard_input};
use super::{Failure, control, discretion, nearby, recording, requests, space, translate, unix_now};
use crate::cli::Common;
use crate::command;
use crate::headless::Headless;
use crate::identities::Keeper;
use crate::session::effect::{AudioEffect, Effect, Ending};
use crate::session::event::Event;
use crate::session::notice::Notice;
use crate::session::view::{Seeking, View};
use crate::session::{Config, Entry, Session};
use crate::{audio, network, ui};
use rand::rngs::{StdRng, SysRng};
use rand::{Rng, SeedableRng};
use resonance_protocol::identity::{AuthorityKey, IdentityKey};
use resonance_protocol::link::Link;
use resonance_protocol::peer::{Address, TransportId};
use std::collections::VecDeque;
use std::path::Path;
use std::sync::Arc;
use std::time::{Duration, Instant};
use zeroize::Zeroizing;

/// How long a new session waits for one more of its own addresses before it makes its link.
const ADDRESS_PATIENCE: Duration = Duration::from_millis(150);

/// How long it waits for all of them: there is other news, too.
const LONGEST_ADDRESS_PATIENCE: Duration = Duration::from_millis(600);

/// What a session is for.
pub enum Goal {
    /// Make one.
    Create {
        /// Put our addresses into the link.
        hints: bool,
        /// How long the link takes people in; `None`: for ever.
        expires_in: Option<Duration>,
    },
    /// Join one.
    Join(Box<Link>),
    /// Meet on this network, in the room of this name.
    Lan(String),
}

/// A running session and its rooms.
pub struct Call {
    session: Session<StdRng>,
    network: network::Handle,
    engine: audio::Engine,
    keeper: Option<Arc<Keeper>>,
    started: Instant,
    leave_at: Option<Instant>,
    /// The id that the others see.
    pub me: TransportId,
    listening: VecDeque<String>,
    notices: VecDeque<Notice>,
    /// Where other programs of this person may ask; `None` where there is no place for it.
    control: Option<control::Server>,
    /// Tells this network of the room.
    telling: nearby::Telling,
    /// What has to be kept in mind with `--no-direct`; `None` without it.
    reminder: Option<&'static str>,
    /// With it: who is connected with nobody in between, and so sees our address all the same.
    exposed_to: Vec<String>,
    ended: Option<Ending>,
    /// Whose spectrum is looked at.
    watched: (bool, Option<TransportId>),
}

impl Call {
    /// Opens sockets and devices and starts the session.
    ///
    /// # Errors
    /// When something that was asked for on the command line cannot be had.
    pub async fn start(
        common: &Common,
        goal: Goal,
        name: &str,
        started: Instant,
        keeper: Option<Arc<Keeper>>,
    ) -> Result<Self, Failure> {
        let mut rng = StdRng::try_from_rng(&mut SysRng)
            .map_err(|error| Failure::Other(format!("The system gives no randomness: {error}.")))?;
        discretion::check_goal(common, &goal)?;
        let helpers = parse_places("--helper", &common.helper)?;
        let entrances = parse_places("--bootstrap", &common.bootstrap)?;
        // A place that was named may be a member's, too.
        let bootstrap: Vec<(Option<TransportId>, Address)> =
            entrances.iter().filter_map(|place| Some((place.peer(), place.address()?))).collect();
        let helpers_in_link: Vec<Address> = helpers.iter().filter_map(network::Place::address).map(as_helper).collect();
        let (warnings, reminder) = match common.no_direct {
            true => (discretion::warnings(common), Some(discretion::REMINDER)),
            false => (Vec::new(), None),
        };
        let mut transport_secret = Zeroizing::new([0; 32]);
        rng.fill_bytes(&mut *transport_secret);
        let me = network::transport_id(&transport_secret);

        let (outbound, outbound_end) = audio::rings::outbound();
        let (outbound_streamed, streamed_end) = audio::rings::outbound_streamed();
        let (inbound, inbound_end) = audio::rings::inbound();
        let (inbound_streamed, inbound_streamed_end) = audio::rings::inbound();
        let reach = match common.no_direct {
            true => network::Reach::Only {
                helpers,
                places: bootstrap.iter().map(|(_, address)| *address).collect(),
                relays: Vec::new(),
            },
            false => network::Reach::Direct {
                listen: common.listen.clone(),
                mdns: !common.no_mdns,
                dht: dht(common, &goal, entrances),
                helpers,
            },
        };
        let config = network::Config { transport_secret, reach };
        let media =
            network::MediaEnds { outbound: outbound_end, outbound_streamed: streamed_end, inbound, inbound_streamed };
        let mut network = network::start(config, media)
            .map_err(|error| Failure::Usage(format!("The network does not start: {error}.")))?;

        let audio_config = super::config::audio(common);
        let ends = audio::MediaEnds {
            outbound,
            outbound_thread: network.outbound_thread(),
            outbound_streamed,
            inbound: inbound_end,
            inbound_streamed: inbound_streamed_end,
        };
        let engine = tokio::task::spawn_blocking(move || audio::Engine::start(audio_config, ends));
        let mut telling = nearby::Telling::of(&goal);
        telling.follow(common);

        // Discovery may be faster than the devices: what it says meanwhile is kept for the session.
        let mut early = Vec::new();
        let entry = match goal {
            Goal::Lan(room) => Entry::Lan(room),
            Goal::Join(link) => Entry::Join(link),
            Goal::Create { hints, expires_in } => {
                let longest = tokio::time::sleep(LONGEST_ADDRESS_PATIENCE);
                tokio::pin!(longest);
                loop {
                    tokio::select! {
                        event = tokio::time::timeout(ADDRESS_PATIENCE, network.next_event()) => match event {
                            Ok(Some(event)) => early.push(event),
                            Ok(None) | Err(_) => break,
                        },
                        () = &mut longest => break,
                    }
                }
                let hints = if hints { hints_of(own_addresses(&early), helpers_in_link) } else { Vec::new() };
                let authority = Box::new(AuthorityKey::generate(&mut rng));
                let expires = expires_in.map_or(0, |span| unix_now().saturating_add(span.as_secs()));
                let link = Box::new(Link::create(me, authority.hash(), expires, hints, &mut rng));
                Entry::Create { link, authority }
            }
        };
        let engine = match engine.await {
            Ok(Ok(engine)) => engine,
            Ok(Err(error)) => return Err(Failure::Usage(error.to_string())),
            Err(error) => return Err(Failure::Other(format!("The audio room failed to start: {error}."))),
        };
        let identity = keeper.as_ref().map_or_else(|| IdentityKey::generate(&mut rng), |keeper| keeper.key());
        let contacts = keeper.as_ref().map(|keeper| keeper.contacts());
        let name = name.to_owned();
        let config = Config { entry, me, identity, contacts, unix_time: unix_now(), name, bootstrap };
        let session = Session::new(config, Instant::now(), rng);
        let leave_at = common.duration.map(|duration| Instant::now() + duration);
        let mut call = Self {
            session,
            network,
            engine,
            keeper,
            started,
            leave_at,
            me,
            listening: VecDeque::new(),
            notices: VecDeque::new(),
            control: None,
            telling,
            reminder,
            exposed_to: Vec::new(),
            ended: None,
            watched: (false, None),
        };
        match control::Server::start(common.data_dir.as_deref()) {
            Ok(server) => call.control = Some(server),
            Err(error) => tracing::warn!(%error, "there is no control socket"),
        }
        for event in early {
            call.network_event(event);
        }
        call.settle();
        call.notices.extend(warnings);
        Ok(call)
    }

    /// The moment as a face draws it.
    pub fn view(&self) -> View {
        let mut view = self.session.view(Instant::now());
        view.problems.extend(self.reminder.map(str::to_owned));
        view
    }

    /// Whether somebody speaks now.
    pub fn is_lively(&self) -> bool {
        self.session.is_lively()
    }

    /// How far it has come with being let in.
    pub fn seeking(&self) -> Seeking {
        self.session.seeking(Instant::now())
    }

    /// Our name as the others see it.
    pub fn name(&self) -> &str {
        self.session.name()
    }

    /// Somebody has let us in, or nobody needs to.
    pub fn joined(&self) -> bool {
        self.session.joined()
    }

    /// We knock at a locked session.
    pub fn waits(&self) -> bool {
        self.session.waits()
    }

    /// What to tell the person next.
    pub fn poll_notice(&mut self) -> Option<Notice> {
        self.notices.pop_front()
    }

    /// How it ended, once it has.
    pub fn ended(&self) -> Option<&Ending> {
        self.ended.as_ref()
    }

    /// What was told since `before` notices waited: they stay to be told to the person.
    pub(super) fn told_since(&self, before: usize) -> impl Iterator<Item = &Notice> {
        self.notices.iter().skip(before)
    }

    /// Notices that wait to be told.
    pub(super) fn waiting(&self) -> usize {
        self.notices.len()
    }

    /// Does what the person asks for.
    pub fn command(&mut self, command: command::Command) {
        self.session.handle_event(Instant::now(), Event::Command(command));
        self.settle();
    }

    /// Lets the person here hear a short sound.
    pub fn play(&mut self, cue: audio::Cue) {
        self.engine.control(audio::Control::Cue(cue));
    }

    /// Whether somebody looks at a spectrum.
    pub fn looks(&self) -> bool {
        self.watched.0
    }

    /// What is looked at of what is heard, here and by whom; to be called as often as it is drawn.
    pub fn look_at(&mut self, wanted: Option<&ui::Watched>) -> ui::Spectra {
        let (own, peer) = match wanted {
            Some(watched) => (true, watched.peer.as_deref().and_then(|id| self.session.member(id))),
            None => (false, None),
        };
        if self.watched != (own, peer) {
            self.watched = (own, peer);
            self.engine.control(audio::Control::Watch { own, peer });
        }
        let spectra = self.engine.spectra();
        let of_peer = spectra.peer.map(|(peer, bands)| (peer.short(), bands.to_vec()));
        ui::Spectra { own: spectra.own.map(|bands| bands.to_vec()), peer: of_peer }
    }

    /// Processes the voice otherwise.
    pub fn set_voice(&mut self, voice: audio::VoiceMode) {
        if let Err(error) = self.engine.set_voice(voice) {
            self.device_stays(error.to_string());
        }
    }

    /// Processes it by something else.
    pub fn set_voice_engine(&mut self, engine: audio::VoiceEngine) {
        if let Err(error) = self.engine.set_voice_engine(engine) {
            self.device_stays(error.to_string());
        }
    }

    /// Sends silence, or next to nothing instead.
    pub fn set_pauses(&mut self, pauses: audio::Pauses) {
        self.engine.set_pauses(pauses);
    }

    /// Tells this network of the room, or no more, as it is wished now.
    pub fn tell_of_room(&mut self, common: &Common) {
        self.telling.follow(common);
    }

    /// Places voices with something else, as far as that was set.
    pub fn set_space(&mut self, before: &audio::SpaceChoice, now: &audio::SpaceChoice) {
        space::settings(&mut self.engine, before, now);
    }

    /// Waits for the next thing to happen and carries it to where it belongs. Safe to cancel.
    pub async fn step(&mut self) {
        let soonest = self.session.poll_timeout().min(Instant::now() + Duration::from_millis(50));
        let event = tokio::select! {
            event = self.network.next_event() => event,
            Some(request) = requests::next(&mut self.control) => {
                let answer = requests::answer(self, request.method);
                let _ = request.answer.send(answer);
                None
            }
            () = tokio::time::sleep_until(soonest.into()) => None,
        };
        if let Some(event) = event {
            self.network_event(event);
        }
        let now = Instant::now();
        while let Some(event) = self.engine.poll_event() {
            self.session.handle_event(now, translate::audio_event(event));
        }
        if self.leave_at.take_if(|at| *at <= now).is_some() {
            self.session.handle_event(now, Event::Command(command::Command::Quit));
        }
        if let Some(why) = self.keeper.as_ref().and_then(|keeper| keeper.poll_failure()) {
            let message = format!("Whom you met could not be written down: {why}");
            let hint = "It is tried again at the next change; the file is as it was before.".to_owned();
            self.notices.push_back(Notice::Warning { code: "contacts_not_saved", message, hint });
        }
        self.session.handle_timeout(now);
        self.telling.people(self.session.people());
        self.settle();
    }

    fn network_event(&mut self, event: network::Event) {
        if let network::Event::Listening { address, .. } | network::Event::Reached { address, .. } = &event {
            self.listening.push_back(address.clone());
        }
        if let (network::Event::Connected { peer, remote: Some(_) }, Some(_)) = (&event, self.reminder) {
            self.exposed_to.push(peer.short());
        }
        if let Some(event) = translate::network_event(event) {
            self.session.handle_event(Instant::now(), event);
        }
    }

    /// Does what the session wants done.
    fn settle(&mut self) {
        while let Some(effect) = self.session.poll_effect() {
            match translate::network_command(effect) {
                Ok(command) => self.network.command(command),
                Err(Effect::Audio(effect)) => self.audio_effect(effect),
                Err(Effect::KeepContacts(contacts)) => {
                    if let Some(keeper) = &self.keeper {
                        keeper.keep(*contacts);
                    }
                }
                Err(Effect::Notice(notice)) => self.tell(notice),
                Err(Effect::Ended(ending)) => self.ended = self.ended.take().or(Some(ending)),
                Err(_) => {}
            }
        }
    }

    fn tell(&mut self, notice: Notice) {
        let met = match &notice {
            Notice::PeerJoined { peer, name, .. } if self.exposed_to.contains(peer) => Some(discretion::seen_by(name)),
            _ => None,
        };
        self.notices.push_back(notice);
        self.notices.extend(met);
    }

    fn audio_effect(&mut self, effect: AudioEffect) {
        let changed = match translate::audio_control(effect) {
            Ok(control) => {
                self.engine.control(control);
                return;
            }
            Err(AudioEffect::Input(choice)) => choice
                .parse()
                .map_err(|error| format!("{error}"))
                .and_then(|choice| self.engine.set_input(choice).map_err(|error| error.to_string())),
            Err(AudioEffect::Output(choice)) => choice
                .parse()
                .map_err(|error| format!("{error}"))
                .and_then(|choice| self.engine.set_output(choice).map_err(|error| error.to_string())),
            Err(AudioEffect::Record(wanted)) => {
                let (engine, me) = (&mut self.engine, (self.session.name(), &*self.me.short()));
                let record = |folder: &Path| engine.record(folder, me).map_err(|error| error.to_string());
                let news = recording::begin(wanted.as_deref(), record);
                self.session.handle_event(Instant::now(), Event::Recording(news));
                return;
            }
            Err(AudioEffect::StopRecording) => {
                self.engine.stop_recording();
                return;
            }
            Err(AudioEffect::Voice(mode)) => mode
                .parse()
                .map_err(|error: audio::choice::ChoiceError| error.to_string())
                .and_then(|mode| self.engine.set_voice(mode).map_err(|error| error.to_string())),
            Err(AudioEffect::Space(wish)) => space::command(&mut self.engine, &wish),
            Err(_) => Ok(()),
        };
        if let Err(message) = changed {
            self.device_stays(message);
        }
    }

    fn device_stays(&mut self, message: String) {
        let hint = "What was in use before stays in use. `resonance devices` lists what there is.".to_owned();
        self.notices.push_back(Notice::Error { code: "device", message, hint });
    }

    /// Ends the rooms in good order and says how it went.
    pub async fn finish(self) -> Result<(), Failure> {
        let Self { network, engine, ended, telling, .. } = self;
        drop(telling);
        network.shutdown().await;
        let _ = tokio::task::spawn_blocking(move || engine.stop()).await;
        match ended {
            None | Some(Ending::Left) => Ok(()),
            Some(Ending::Unreachable(why)) => Err(Failure::Unreachable(why)),
            Some(Ending::Refused(why)) => Err(Failure::Refused(why)),
        }
    }

    /// Runs with the face that has no screen.
    ///
    /// # Errors
    /// When the session could not be joined.
    pub async fn run_headless(mut self) -> Result<(), Failure> {
        let face = Headless::new(self.started, self.me.short(), self.name().to_owned());
        let mut lines = standard_input();
        let mut stop = StopSignals::listen()?;
        let mut input_open = true;
        loop {
            while let Some(address) = self.listening.pop_front() {
                face.listening(&address);
            }
            while let Some(notice) = self.poll_notice() {
                face.notice(&notice);
            }
            if self.ended.is_some() {
                break;
            }
            tokio::select! {
                () = self.step() => {}
                line = lines.recv(), if input_open => match line.as_deref().map(command::parse) {
                    Some(Ok(command)) => self.command(command),
                    Some(Err(command::CommandError::Empty)) => {}
                    Some(Err(error)) => face.bad_command(&error.to_string()),
                    None => input_open = false,
                },
                () = stop.recv() => self.command(command::Command::Quit),
            }
        }
        let outcome = self.finish().await;
        if outcome.is_ok() {
            face.bye("left");
        }
        outcome
    }
}

fn parse_places(option: &str, given: &[String]) -> Result<Vec<network::Place>, Failure> {
    let parse = |text: &String| {
        network::Place::parse(text).map_err(|error| Failure::Usage(format!("{option} {text}: {error}.")))
    };
    given.iter().map(parse).collect()
}

/// The distributed hash table for a session: none for a room of this network, where everyone is met by multicast.
fn dht(common: &Common, goal: &Goal, entrances: Vec<network::Place>) -> network::Dht {
    match goal {
        _ if common.no_dht => network::Dht::Off,
        Goal::Lan(_) => network::Dht::Off,
        _ if entrances.is_empty() => network::Dht::Public,
        _ => network::Dht::At(entrances),
    }
}
