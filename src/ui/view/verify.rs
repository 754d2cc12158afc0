//! Comparing the safety number with somebody, and what to do when it differs.

use super::page::Page;
use super::{panel, put_all, qr, words};
use crate::session::view::Trust;
use crate::ui::model::{Model, Verify, VerifyPage};
use crate::ui::text;
use ratatui::Frame;
use ratatui::layout::Rect;
use ratatui::text::Line;

pub(super) fn draw(model: &Model, frame: &mut Frame, area: Rect, state: &Verify) {
    let theme = model.theme;
    let name = text::cut(&state.name, 24);
    let inside = panel(frame, theme, area, &format!("Verify {name}"));
    let comparing = model.peer(&state.peer).is_some() && state.page == VerifyPage::Compare;
    let left = if comparing { qr::beside(theme, frame, inside, &state.number) } else { inside };
    let page = Page::new(theme, left);
    let page = match (model.peer(&state.peer), &state.page) {
        (None, _) => page.say(&format!("{name} has left: nothing was marked.")),
        (Some(peer), VerifyPage::Compare) => {
            let changed = peer.safety_number != state.number;
            compare(page, &name, &state.number, peer.trust, changed)
        }
        (Some(_), VerifyPage::Differ(precaution)) => differ(page, &name, precaution.closed_microphone),
    };
    put_all(frame, left, page.lines);
}

fn compare(page: Page, name: &str, number: &str, trust: Trust, changed: bool) -> Page {
    let theme = page.theme;
    let mut page = page
        .say(&format!("1 Ask {name} to press v on your name."))
        .say(&format!(
            "2 Read the first row aloud, {name} the second, you the third: each says whether the other sees it, too."
        ))
        .say("3 Or scan each other's code.")
        .gap()
        .number(number)
        .gap()
        .say("They are the same for both of you, or somebody is between you.")
        .gap();
    if changed {
        page = page.warn("⚠ The number has changed since you opened this page. Go back and begin again.").gap();
    }
    page = page.key("y", &format!("the numbers match: mark {name} verified")).key("n", "they differ: what now?");
    if trust == Trust::Verified {
        page = page.key("u", "take the mark back");
        page.lines.push(Line::default());
        page.lines.push(Line::styled(format!("  {}: you marked {name} before.", words::trust(trust)), theme.good()));
    }
    page
}

fn differ(page: Page, name: &str, closed_microphone: bool) -> Page {
    let microphone = if closed_microphone { "closed" } else { "still closed" };
    page.warn("⚠ The numbers differ.")
        .gap()
        .say(&format!("Either one of you misread, or compared with somebody else than the {name} on this screen: compare once more."))
        .gap()
        .say("If they differ again, somebody stands between you and hears all that you say to each other. Say nothing that matters, and meet in another way.")
        .gap()
        .say(&format!("Your microphone is {microphone} (for everybody), and {name} is turned down to silence."))
        .gap()
        .key("o", "open the sound again and compare once more")
        .key("q", "leave the session")
        .key("Esc", "back to the others, with the sound left as it is")
}
