// Asks a question and shows the answer as it comes: text while it is written, then each sentence with its
// verdict and its sources. Everything from the server is put in as text, never as markup.
"use strict";

const form = document.getElementById("asking");
const output = document.getElementById("answer");
const stateLine = document.getElementById("state");
const MARKS = { supported: "✓", uncertain: "~", unsupported: "✗", unknown: "–" };
const TONES = { supported: "ok", uncertain: "warn", unsupported: "fail", unknown: "none" };
let asking = null;

const make = (tag, name, text) => {
  const element = document.createElement(tag);
  if (name) element.className = name;
  if (text !== undefined) element.textContent = text;
  return element;
};

const chip = (word) => make("span", `chip ${TONES[word] ?? "none"}`, `${MARKS[word] ?? "–"} ${word}`);

function row(sentence, citations) {
  const item = make("li");
  const tone = sentence ? (TONES[sentence.verdict] ?? "none") : "none";
  const said = make("div", `said ${tone}`);
  const words = make("p");
  words.append(make("span", "text words", sentence.text));
  said.append(words, chip(sentence.verdict));
  const sources = make("div", "source");
  for (const number of sentence.citations) {
    const cited = citations.get(number);
    if (!cited) continue;
    const line = make("p");
    line.append(make("span", "cite", `[${number}] `), make("span", "soft", cited.document_title));
    sources.append(line, make("blockquote", "text", cited.cited_text));
  }
  if (!sources.hasChildNodes()) sources.append(make("p", "soft", "no source"));
  item.append(said, sources);
  return item;
}

function follow() {
  const citations = new Map();
  let whole = "";
  let shownTo = 0;
  const list = make("ul", "answer");
  const draft = make("p", "text");
  output.replaceChildren(list, draft);
  return {
    context: (data) => (stateLine.textContent = `${data.passages.length} passages found; writing`),
    text: (data) => {
      whole += data.text;
      draft.textContent = whole.slice(shownTo).trimStart();
    },
    replace: (data) => {
      whole = data.text;
      draft.textContent = whole.slice(shownTo).trimStart();
    },
    citation: (data) => citations.set(data.number, data),
    sentence: (data) => {
      list.append(row(data, citations));
      shownTo = Math.max(shownTo, data.end);
      draft.textContent = whole.slice(shownTo).trimStart();
    },
    answer: (data) => {
      const known = new Map(data.citations.map((one) => [one.number, one]));
      list.replaceChildren(...data.sentences.map((sentence) => row(sentence, known)));
      draft.textContent = data.sentences.length ? "" : data.answer;
      const total = data.timings_ms.total;
      stateLine.textContent = `${data.abstained ? "abstained" : "done"} in ${Math.round(total)} ms · `;
      const link = make("a", "", "see the trace");
      link.href = `/ui/traces/${encodeURIComponent(data.trace_id)}`;
      stateLine.append(link);
    },
    error: (data) => {
      draft.textContent = `${data.detail ?? "It failed."} ${data.hint ?? ""}`;
      stateLine.textContent = "failed";
    },
  };
}

async function ask(body, signal) {
  const response = await fetch("/ui/ask", {
    method: "POST",
    headers: { "content-type": "application/json", "x-firstfault-token": form.token.value },
    body: JSON.stringify(body),
    signal,
  });
  const told = follow();
  if (!response.ok) {
    told.error(await response.json());
    return;
  }
  const reader = response.body.pipeThrough(new TextDecoderStream()).getReader();
  let left = "";
  for (;;) {
    const { value, done } = await reader.read();
    if (done) break;
    left += value;
    const blocks = left.split("\n\n");
    left = blocks.pop();
    for (const block of blocks) {
      const name = /^event: (.*)$/m.exec(block);
      const data = /^data: (.*)$/m.exec(block);
      if (name && data) told[name[1]]?.(JSON.parse(data[1]));
    }
  }
}

form.addEventListener("submit", async (event) => {
  event.preventDefault();
  asking?.abort();
  asking = new AbortController();
  const body = { question: form.question.value, stream: true, collection: form.collection.value };
  if (form.where.value.trim()) body.where = form.where.value;
  history.replaceState(null, "", `/ui/ask?q=${encodeURIComponent(body.question)}`);
  stateLine.textContent = "searching";
  output.setAttribute("aria-busy", "true");
  try {
    await ask(body, asking.signal);
  } catch (error) {
    if (error.name !== "AbortError") stateLine.textContent = "The connection broke; ask again.";
  } finally {
    output.removeAttribute("aria-busy");
  }
});

form.question.addEventListener("keydown", (event) => {
  if (event.key === "Enter" && (event.ctrlKey || event.metaKey)) form.requestSubmit();
});
