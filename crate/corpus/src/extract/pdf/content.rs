//! A page's content stream → its glyphs: only what moves or shows text is followed.

use std::rc::Rc;

use hayro_syntax::{
    content::UntypedIter,
    object::{Array, Dict, Name, Object, Rect, Stream, String as PdfString},
    page::{Page, Resources, Rotation},
};

use super::{
    fonts::{Fonts, TextFont},
    glyph::{Glyph, PageGlyphs, Turn},
    inline,
    matrix::Matrix,
    stream::{Budget, Failure},
};

/// Operators over a whole document.
const MAX_OPERATORS: usize = 20_000_000;
const MAX_OPERATORS_PER_PAGE: usize = 4_000_000;
/// Glyphs on one page.
const MAX_GLYPHS: usize = 400_000;
/// Forms within forms.
const MAX_FORM_DEPTH: usize = 12;
/// Annotations of a page.
const MAX_ANNOTATIONS: usize = 2_000;
const MAX_STATES: usize = 256;
const MAX_MARKS: usize = 256;

/// Reads pages one after another within bounds that hold for all of them.
pub(super) struct Reader<'a> {
    fonts: Fonts<'a>,
    pub budget: Budget,
    n_operators_left: usize,
}

/// What came of a page.
pub(super) struct PageContent {
    pub glyphs: PageGlyphs,
    /// Something on the page could not be read: its stream, or all of it within the bounds.
    pub is_cut: bool,
    /// It shows pictures or lines.
    pub has_drawings: bool,
}

impl<'a> Reader<'a> {
    pub fn new() -> Self {
        Self { fonts: Fonts::new(), budget: Budget::new(), n_operators_left: MAX_OPERATORS }
    }

    pub fn read(&mut self, page: &Page<'a>) -> PageContent {
        let n_before = self.n_operators_left;
        let share = n_before.min(MAX_OPERATORS_PER_PAGE);
        let mut walker = Walker {
            reader: self,
            n_left: share,
            content: PageContent { glyphs: PageGlyphs::default(), is_cut: false, has_drawings: false },
            state: State::new(upright(page)),
            states: Vec::new(),
            marks: Vec::new(),
            n_artifacts: 0,
            depth: 0,
        };
        let data = walker.page_data(page);
        walker.run(data, page.resources());
        walker.run_annotations(page);
        let n_used = share - walker.n_left;
        let content = walker.content;
        self.n_operators_left = n_before - n_used;
        content
    }
}

/// Page space → upright page space.
fn upright(page: &Page<'_>) -> Matrix {
    match page.rotation() {
        Rotation::None => Matrix::IDENTITY,
        Rotation::Horizontal => Matrix([0.0, -1.0, 1.0, 0.0, 0.0, 0.0]),
        Rotation::Flipped => Matrix([-1.0, 0.0, 0.0, -1.0, 0.0, 0.0]),
        Rotation::FlippedHorizontal => Matrix([0.0, 1.0, -1.0, 0.0, 0.0, 0.0]),
    }
}

#[derive(Clone)]
struct State<'a> {
    ctm: Matrix,
    text: Matrix,
    line: Matrix,
    font: Option<Rc<TextFont<'a>>>,
    size: f64,
    char_space: f64,
    word_space: f64,
    /// 1 is the font's own width.
    stretch: f64,
    leading: f64,
    rise: f64,
}

impl State<'_> {
    fn new(ctm: Matrix) -> Self {
        Self {
            ctm,
            text: Matrix::IDENTITY,
            line: Matrix::IDENTITY,
            font: None,
            size: 0.0,
            char_space: 0.0,
            word_space: 0.0,
            stretch: 1.0,
            leading: 0.0,
            rise: 0.0,
        }
    }

    fn next_line(&mut self, x: f64, y: f64) {
        self.line = Matrix::translation(x, y).then(self.line);
        self.text = self.line;
    }

    /// Moves along the line by what lies between two glyphs.
    fn advance(&mut self, by: f64) {
        let is_vertical = self.font.as_ref().is_some_and(|font| font.is_vertical);
        let (x, y) = if is_vertical { (0.0, by) } else { (by * self.stretch, 0.0) };
        self.text = Matrix::translation(x, y).then(self.text);
    }
}

/// An open marked-content sequence.
struct Mark {
    is_artifact: bool,
    /// Text to read in place of the glyphs; taken by the first.
    actual: Option<String>,
    has_actual: bool,
}

struct Walker<'r, 'a> {
    reader: &'r mut Reader<'a>,
    n_left: usize,
    content: PageContent,
    state: State<'a>,
    states: Vec<State<'a>>,
    marks: Vec<Mark>,
    n_artifacts: usize,
    depth: usize,
}

impl<'a> Walker<'_, 'a> {
    fn page_data(&mut self, page: &Page<'a>) -> Vec<u8> {
        let contents = page.raw().get::<Object<'_>>("Contents");
        let streams: Vec<Stream<'_>> = match contents {
            Some(Object::Stream(stream)) => vec![stream],
            Some(Object::Array(array)) => {
                let streams: Vec<Stream<'_>> = array.iter().collect();
                self.content.is_cut = streams.len() < array.raw_iter().count();
                streams
            }
            // What the page names as its content is not in the file.
            None => {
                self.content.is_cut = page.raw().contains_key("Contents");
                Vec::new()
            }
            _ => Vec::new(),
        };
        let mut data = Vec::new();
        let n_damaged = self.reader.budget.n_damaged;
        for stream in streams {
            match self.reader.budget.decode(&stream) {
                Ok(bytes) => data.extend_from_slice(&bytes),
                Err(_) => self.content.is_cut = true,
            }
            data.push(b'\n');
        }
        self.content.is_cut |= self.reader.budget.n_damaged > n_damaged;
        data
    }

    fn run(&mut self, mut data: Vec<u8>, resources: &Resources<'a>) {
        self.content.has_drawings |= inline::blank(&mut data);
        let mut operators = UntypedIter::new(&data);
        while let Some(instruction) = operators.next() {
            if self.n_left == 0 || self.content.glyphs.len() >= MAX_GLYPHS {
                self.content.is_cut = true;
                break;
            }
            self.n_left -= 1;
            let operands: Vec<&Object<'_>> = instruction.operands().collect();
            self.apply(instruction.operator, &operands, resources);
        }
    }

    fn restore(&mut self) {
        if let Some(state) = self.states.pop() {
            self.state = state;
        }
    }

    fn apply(&mut self, operator: &[u8], operands: &[&Object<'_>], resources: &Resources<'a>) {
        let number = |i: usize| match operands.get(i) {
            Some(Object::Number(number)) => number.as_f64(),
            _ => 0.0,
        };
        match operator {
            b"q" if self.states.len() < MAX_STATES => self.states.push(self.state.clone()),
            b"Q" => self.restore(),
            b"cm" => self.state.ctm = matrix(operands).then(self.state.ctm),
            b"BT" => (self.state.text, self.state.line) = (Matrix::IDENTITY, Matrix::IDENTITY),
            b"Tc" => self.state.char_space = number(0),
            b"Tw" => self.state.word_space = number(0),
            b"Tz" => self.state.stretch = number(0) / 100.0,
            b"TL" => self.state.leading = number(0),
            b"Ts" => self.state.rise = number(0),
            b"Tf" => self.set_font(operands, resources),
            b"gs" => self.set_font_of_state(operands, resources),
            b"Td" => self.state.next_line(number(0), number(1)),
            b"TD" => {
                self.state.leading = -number(1);
                self.state.next_line(number(0), number(1));
            }
            b"Tm" => {
                self.state.line = matrix(operands);
                self.state.text = self.state.line;
            }
            b"T*" => self.state.next_line(0.0, -self.state.leading),
            b"Tj" => self.show_operand(operands.first()),
            b"'" => {
                self.state.next_line(0.0, -self.state.leading);
                self.show_operand(operands.first());
            }
            b"\"" => {
                (self.state.word_space, self.state.char_space) = (number(0), number(1));
                self.state.next_line(0.0, -self.state.leading);
                self.show_operand(operands.get(2));
            }
            b"TJ" => {
                if let Some(Object::Array(array)) = operands.first() {
                    self.show_array(array);
                }
            }
            b"f" | b"F" | b"f*" | b"B" | b"B*" | b"b" | b"b*" | b"S" | b"s" | b"sh" => {
                self.content.has_drawings = true;
            }
            b"Do" => self.draw(operands, resources),
            b"BMC" => self.open_mark(operands, None),
            b"BDC" => self.open_mark(operands, Some(resources)),
            b"EMC" => self.close_mark(),
            _ => {}
        }
    }

    fn set_font(&mut self, operands: &[&Object<'_>], resources: &Resources<'a>) {
        let (Some(Object::Name(name)), Some(Object::Number(size))) = (operands.first(), operands.get(1)) else {
            return;
        };
        self.state.size = size.as_f64();
        let dict = resources.fonts.get::<Dict<'a>>(name);
        self.state.font = dict.and_then(|dict| self.reader.fonts.get(&dict, &mut self.reader.budget));
    }

    fn set_font_of_state(&mut self, operands: &[&Object<'_>], resources: &Resources<'a>) {
        let Some(Object::Name(name)) = operands.first() else {
            return;
        };
        let font = resources.ext_g_states.get::<Dict<'a>>(name).and_then(|state| state.get::<Array<'a>>("Font"));
        if let Some(font) = font {
            let mut parts = font.flex_iter();
            if let (Some(dict), Some(size)) = (parts.next::<Dict<'a>>(), parts.next::<f64>()) {
                self.state.size = size;
                self.state.font = self.reader.fonts.get(&dict, &mut self.reader.budget);
            }
        }
    }

    fn show_operand(&mut self, operand: Option<&&Object<'_>>) {
        if let Some(Object::String(text)) = operand {
            self.show(text);
        }
    }

    fn show_array(&mut self, array: &Array<'_>) {
        for object in array.iter::<Object<'_>>() {
            match object {
                Object::String(text) => self.show(&text),
                Object::Number(by) => self.state.advance(-by.as_f64() / 1000.0 * self.state.size),
                _ => {}
            }
        }
    }

    fn show(&mut self, text: &PdfString<'_>) {
        let bytes = text.as_bytes();
        let Some(font) = self.state.font.clone() else {
            self.content.glyphs.n_unknown += bytes.len();
            return;
        };
        let mut at = 0;
        while at < bytes.len() && self.content.glyphs.len() < MAX_GLYPHS {
            let (code, n_bytes) = font.read(bytes, at);
            at += n_bytes;
            let known = font.code(code);
            let advance = known.advance / 1000.0 * self.state.size;
            self.place(&font, &known.text, advance);
            let word_space = if n_bytes == 1 && code == 32 { self.state.word_space } else { 0.0 };
            self.state.advance(advance + self.state.char_space + word_space);
        }
    }

    /// Notes a glyph where the text matrix stands.
    fn place(&mut self, font: &TextFont<'a>, text: &Rc<str>, advance: f64) {
        let state = &self.state;
        let to_page = Matrix::translation(0.0, state.rise).then(state.text).then(state.ctm);
        let along = if font.is_vertical { (0.0, advance) } else { (advance * state.stretch, 0.0) };
        let (start, end) = (to_page.apply(0.0, 0.0), to_page.apply(along.0, along.1));
        // Down a vertical line, along a horizontal one.
        let direction = if font.is_vertical { to_page.turn(0.0, -1.0) } else { to_page.turn(1.0, 0.0) };
        let height = to_page.turn(0.0, state.size * font.em);
        let width = to_page.turn(state.size * font.em, 0.0);
        let size = if font.is_vertical { width.0.hypot(width.1) } else { height.0.hypot(height.1) };
        let mirrored = state.size < 0.0 && !font.is_vertical;
        let direction = if mirrored { (-direction.0, -direction.1) } else { direction };
        let text = match self.marks.iter_mut().rev().find(|mark| mark.has_actual) {
            Some(mark) => mark.actual.take().unwrap_or_default().into(),
            None => {
                self.content.glyphs.n_unknown += usize::from(text.is_empty());
                text.clone()
            }
        };
        if let Some(turn) = Turn::of(direction) {
            let glyph = Glyph::new(turn, start, end, size, font.is_bold, self.n_artifacts > 0);
            self.content.glyphs.push(glyph, &text);
        }
    }

    fn draw(&mut self, operands: &[&Object<'_>], resources: &Resources<'a>) {
        let Some(Object::Name(name)) = operands.first() else {
            return;
        };
        let Some(stream) = resources.x_objects.get::<Stream<'a>>(name) else {
            return;
        };
        match stream.dict().get::<Name<'_>>("Subtype").as_ref().map(|name| name.as_str()) {
            Some("Image") => self.content.has_drawings = true,
            Some("Form") => self.draw_form(&stream, resources),
            _ => {}
        }
    }

    fn draw_form(&mut self, stream: &Stream<'a>, parent: &Resources<'a>) {
        if self.depth >= MAX_FORM_DEPTH || self.n_left == 0 {
            self.content.is_cut = true;
            return;
        }
        let data = match self.reader.budget.decode(stream) {
            Ok(data) => data,
            Err(failure) => {
                self.content.is_cut |= failure == Failure::TooLarge;
                return;
            }
        };
        let saved = self.state.clone();
        let saved_states = std::mem::take(&mut self.states);
        if let Some(array) = stream.dict().get::<Array<'_>>("Matrix") {
            let numbers: Vec<f64> = array.iter::<f64>().take(6).collect();
            if let Ok(numbers) = numbers.try_into() {
                self.state.ctm = Matrix(numbers).then(self.state.ctm);
            }
        }
        let resources = stream.dict().get::<Dict<'a>>("Resources").map(Resources::new);
        self.depth += 1;
        self.run(data.into_owned(), resources.as_ref().unwrap_or(parent));
        self.depth -= 1;
        self.states = saved_states;
        self.state = saved;
    }

    /// What is filled into a form, and text laid over the page, as their appearances show it.
    fn run_annotations(&mut self, page: &Page<'a>) {
        const HIDDEN: i64 = 1 << 1 | 1 << 5;
        let Some(annotations) = page.raw().get::<Array<'a>>("Annots") else {
            return;
        };
        for annotation in annotations.iter::<Dict<'a>>().take(MAX_ANNOTATIONS) {
            let kind = annotation.get::<Name<'_>>("Subtype");
            let is_text = kind.is_some_and(|kind| matches!(kind.as_str(), "Widget" | "FreeText" | "Stamp"));
            let is_hidden = annotation.get::<i64>("F").unwrap_or(0) & HIDDEN != 0;
            let (Some(stream), true) = (appearance(&annotation), is_text && !is_hidden) else {
                continue;
            };
            let corner = |dict: &Dict<'_>, key| -> (f64, f64) {
                dict.get::<Rect>(key).map_or((0.0, 0.0), |rect: Rect| (rect.x0, rect.y0))
            };
            let ((x, y), (inner_x, inner_y)) = (corner(&annotation, "Rect"), corner(stream.dict(), "BBox"));
            let saved = self.state.clone();
            self.state = State::new(Matrix::translation(x - inner_x, y - inner_y).then(upright(page)));
            self.draw_form(&stream, page.resources());
            self.state = saved;
        }
    }

    fn open_mark(&mut self, operands: &[&Object<'_>], resources: Option<&Resources<'a>>) {
        if self.marks.len() >= MAX_MARKS {
            return;
        }
        let is_artifact = matches!(operands.first(), Some(Object::Name(tag)) if tag.as_str() == "Artifact");
        let actual = match (operands.get(1), resources) {
            (Some(Object::Dict(properties)), Some(_)) => actual_text(properties),
            (Some(Object::Name(name)), Some(resources)) => {
                resources.properties.get::<Dict<'_>>(name).and_then(|properties| actual_text(&properties))
            }
            _ => None,
        };
        self.n_artifacts += usize::from(is_artifact);
        self.marks.push(Mark { is_artifact, has_actual: actual.is_some(), actual });
    }

    fn close_mark(&mut self) {
        if let Some(mark) = self.marks.pop() {
            self.n_artifacts -= usize::from(mark.is_artifact);
        }
    }
}

/// The normal appearance, in the state that the annotation is in.
fn appearance<'a>(annotation: &Dict<'a>) -> Option<Stream<'a>> {
    match annotation.get::<Dict<'a>>("AP")?.get::<Object<'a>>("N")? {
        Object::Stream(stream) => Some(stream),
        Object::Dict(states) => states.get::<Stream<'a>>(annotation.get::<Name<'_>>("AS")?),
        _ => None,
    }
}

fn actual_text(properties: &Dict<'_>) -> Option<String> {
    properties.get::<PdfString<'_>>("ActualText").map(|text| super::meta::text_string(text.as_bytes()))
}

fn matrix(operands: &[&Object<'_>]) -> Matrix {
    let mut numbers = [0.0; 6];
    for (slot, operand) in numbers.iter_mut().zip(operands) {
        if let Object::Number(number) = operand {
            *slot = number.as_f64();
        }
    }
    Matrix(numbers)
}
