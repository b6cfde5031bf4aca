#include "gateway/kit/card.h"

#include <assert.h>
#include <errno.h>
#include <qrencode.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "drivers/cleanup.h"
#include "gateway/words/words.h"

#define A5_WIDTH     1480
#define A5_HEIGHT    2100
#define LABEL_WIDTH  900
#define LABEL_HEIGHT 400
#define MARGIN       100
#define QUIET        4 /* modules around a code (ISO/IEC 18004) */
#define STEPS        3
#define INK          "#212b32"
#define BLUE         "#005eb8"
#define PALE         "#e8edee"

/* Pictures: 400 x 400, drawn for this card. No face, no body shape, no number on a display. */
#define LINE                          \
	"fill=\"none\" stroke=\"" INK \
	"\" stroke-width=\"12\" stroke-linecap=\"round\" stroke-linejoin=\"round\""
#define FILL "fill=\"" PALE "\" stroke=\"" INK "\" stroke-width=\"12\" stroke-linejoin=\"round\""

static const char scale[] =
	"<rect x=\"40\" y=\"60\" width=\"320\" height=\"300\" rx=\"40\" " FILL "/>"
	"<rect x=\"140\" y=\"90\" width=\"120\" height=\"56\" rx=\"12\" fill=\"#fff\" stroke=\"" INK
	"\" stroke-width=\"10\"/>"
	"<path d=\"M150 190c-40 0-44 60-38 96s52 34 56 0-2-96-18-96zM250 190c40 0 44 60 38 96s-52 "
	"34-56 "
	"0 2-96 18-96z\" " LINE "/>";
static const char cuff[] =
	"<path d=\"M30 120h190q40 0 40 40v60q0 40-40 40H30\" " LINE "/>"
	"<rect x=\"90\" y=\"96\" width=\"120\" height=\"188\" rx=\"20\" " FILL "/>"
	"<path d=\"M210 190q60 0 60 70v30\" " LINE "/>"
	"<rect x=\"210\" y=\"290\" width=\"160\" height=\"90\" rx=\"18\" " FILL "/>"
	"<circle cx=\"336\" cy=\"335\" r=\"16\" " LINE "/><path d=\"M236 318h64M236 350h44\" " LINE
	"/>";
static const char wearable[] =
	"<path d=\"M140 130L156 20h88l16 110M140 270l16 110h88l16-110\" " LINE "/>"
	"<rect x=\"110\" y=\"120\" width=\"180\" height=\"160\" rx=\"44\" " FILL "/>"
	"<path d=\"M150 205h28l16-36 24 64 16-28h20\" " LINE "/>";
static const char oximeter[] =
	"<path d=\"M20 190h170q36 0 36 34t-36 34H20\" " LINE "/>"
	"<rect x=\"150\" y=\"110\" width=\"220\" height=\"76\" rx=\"24\" " FILL "/>"
	"<rect x=\"150\" y=\"262\" width=\"220\" height=\"70\" rx=\"24\" " FILL "/>"
	"<path d=\"M344 186v76\" " LINE "/><path d=\"M190 148h90\" " LINE "/>";
static const char thermometer[] =
	"<rect x=\"120\" y=\"40\" width=\"160\" height=\"220\" rx=\"36\" " FILL "/>"
	"<rect x=\"150\" y=\"80\" width=\"100\" height=\"60\" rx=\"10\" fill=\"#fff\" stroke=\"" INK
	"\" stroke-width=\"10\"/>"
	"<path d=\"M176 260v60q0 30 24 30t24-30v-60M200 350v20\" " LINE
	"/><circle cx=\"200\" cy=\"200\" r=\"20\" " LINE "/>";
static const char glucose[] =
	"<rect x=\"110\" y=\"30\" width=\"180\" height=\"250\" rx=\"50\" " FILL "/>"
	"<rect x=\"146\" y=\"76\" width=\"108\" height=\"80\" rx=\"12\" fill=\"#fff\" stroke=\"" INK
	"\" stroke-width=\"10\"/>"
	"<circle cx=\"200\" cy=\"212\" r=\"20\" " LINE "/><path d=\"M180 280v80h40v-80\" " LINE
	"/>";

struct kind {
	Wellgate__V1__RegistryEvent__DeviceKind kind;
	const char *picture;
	enum words_id title, steps[STEPS];
};

#define KIND(x) WELLGATE__V1__REGISTRY_EVENT__DEVICE_KIND__DEVICE_KIND_##x
#define TEXTS(x)                                                           \
	WORDS_CARD_##x##_TITLE,                                            \
	{                                                                  \
		WORDS_CARD_##x##_1, WORDS_CARD_##x##_2, WORDS_CARD_##x##_3 \
	}

static const struct kind kinds[] = {
	{ KIND(CUFF), cuff, TEXTS(CUFF) },
	{ KIND(SCALE), scale, TEXTS(SCALE) },
	{ KIND(WEARABLE), wearable, TEXTS(WEARABLE) },
	{ KIND(OXIMETER), oximeter, TEXTS(OXIMETER) },
	{ KIND(THERMOMETER), thermometer, TEXTS(THERMOMETER) },
	{ KIND(GLUCOSE_METER), glucose, TEXTS(GLUCOSE) },
};

static const struct kind *kind_of(Wellgate__V1__RegistryEvent__DeviceKind kind)
{
	for (size_t i = 0; i < sizeof(kinds) / sizeof(kinds[0]); i++)
		if (kinds[i].kind == kind)
			return &kinds[i];
	assert(!"a plan has devices of these kinds alone");
	return &kinds[0];
}

/* ---- text ---- */

static void put_escaped(FILE *f, const char *text, size_t len)
{
	for (size_t i = 0; i < len; i++) {
		switch (text[i]) {
		case '&':
			(void)fputs("&amp;", f);
			break;
		case '<':
			(void)fputs("&lt;", f);
			break;
		case '>':
			(void)fputs("&gt;", f);
			break;
		default:
			(void)fputc(text[i], f);
		}
	}
}

struct pen {
	FILE *f;
	int x, y, size;
	size_t columns; /* bytes in a line, about */
	const char *weight;
};

static void put_line(struct pen *p, const char *text, size_t len)
{
	(void)fprintf(p->f, "<text x=\"%d\" y=\"%d\" font-size=\"%d\" font-weight=\"%s\">", p->x,
		      p->y, p->size, p->weight);
	put_escaped(p->f, text, len);
	(void)fputs("</text>\n", p->f);
	p->y += p->size * 13 / 10;
}

/* As many words as fit, line by line. */
static void put_text(struct pen *p, const char *text)
{
	while (*text) {
		size_t len = strlen(text);

		if (len > p->columns) {
			len = p->columns;
			while (len > 0 && text[len] != ' ')
				len--;
			if (len == 0) /* one long word */
				len = strcspn(text, " ");
		}
		put_line(p, text, len);
		text += len;
		text += strspn(text, " ");
	}
}

static void put_word(struct pen *p, enum words_id id)
{
	put_text(p, words_text(WORDS_EN, id));
}

/* ---- the code ---- */

static int put_code(FILE *f, const char *text, int x, int y, int width)
{
	QRcode *code = QRcode_encodeString8bit(text, 0, QR_ECLEVEL_M);
	int modules;

	if (!code)
		return errno == ENOMEM ? -ENOMEM : -EINVAL;
	modules = code->width + 2 * QUIET;
	(void)fprintf(f,
		      "<svg x=\"%d\" y=\"%d\" width=\"%d\" height=\"%d\" viewBox=\"0 0 %d %d\" "
		      "shape-rendering=\"crispEdges\"><rect width=\"%d\" height=\"%d\" "
		      "fill=\"#fff\"/><path fill=\"#000\" d=\"",
		      x, y, width, width, modules, modules, modules, modules);
	for (int row = 0; row < code->width; row++)
		for (int column = 0; column < code->width; column++)
			if (code->data[row * code->width + column] & 1)
				(void)fprintf(f, "M%d %dh1v1h-1z", column + QUIET, row + QUIET);
	(void)fputs("\"/></svg>\n", f);
	QRcode_free(code);
	return 0;
}

/* What a phone or staff's scanner reads. */
static int put_card_code(FILE *f, const struct kit_plan *p, size_t i, int x, int y, int width)
{
	char text[2 * KIT_LINE_MAX];

	if (p->page[0])
		(void)snprintf(text, sizeof(text), "%s", p->page);
	else
		(void)snprintf(text, sizeof(text), "WELLGATE:%s:%zu", p->box, i);
	return put_code(f, text, x, y, width);
}

/* ---- the whole ---- */

static void begin(FILE *f, int width, int height)
{
	(void)fprintf(
		f,
		"<svg xmlns=\"http://www.w3.org/2000/svg\" width=\"%d.%dmm\" height=\"%d.%dmm\" "
		"viewBox=\"0 0 %d %d\" font-family=\"Frutiger, Arial, Liberation Sans, "
		"DejaVu Sans, sans-serif\" fill=\"" INK "\">\n"
		"<rect width=\"%d\" height=\"%d\" fill=\"#fff\"/>\n",
		width / 10, width % 10, height / 10, height % 10, width, height, width, height);
}

static void put_steps(struct pen *p, const struct kind *k)
{
	for (int i = 0; i < STEPS; i++) {
		const int top = p->y - 62;

		(void)fprintf(p->f,
			      "<circle cx=\"%d\" cy=\"%d\" r=\"50\" fill=\"" BLUE "\"/>"
			      "<text x=\"%d\" y=\"%d\" font-size=\"60\" font-weight=\"bold\" "
			      "fill=\"#fff\" text-anchor=\"middle\">%d</text>\n",
			      MARGIN + 50, top + 42, MARGIN + 50, top + 63, i + 1);
		p->x = MARGIN + 140;
		put_word(p, k->steps[i]);
		p->y += 44;
	}
}

static void put_foot(FILE *f, const struct kit_plan *plan)
{
	struct pen p = { f, MARGIN, 1530, 44, 36, "normal" };

	put_word(&p, WORDS_CARD_BY_ITSELF);
	p.y += 16;
	put_word(&p, WORDS_CARD_SOMEBODY_ELSE);
	if (plan->help[0]) {
		p.y += 16;
		p.weight = "bold";
		put_word(&p, WORDS_CARD_HELP);
		put_text(&p, plan->help);
	}
}

static int draw_card(FILE *f, const struct kit_plan *plan, size_t i)
{
	const struct kit_device *d = &plan->devices[i];
	const struct kind *k = kind_of(d->kind);
	struct pen p = { f, MARGIN, 190, 92, 24, "bold" };
	int r;

	begin(f, A5_WIDTH, A5_HEIGHT);
	put_text(&p, d->title);
	(void)fprintf(
		f,
		"<svg x=\"%d\" y=\"270\" width=\"700\" height=\"700\" viewBox=\"0 0 400 400\">%s"
		"</svg>\n",
		(A5_WIDTH - 700) / 2, k->picture);
	p = (struct pen){ f, MARGIN, 1080, 56, 38, "normal" };
	put_steps(&p, k);
	put_foot(f, plan);
	r = put_card_code(f, plan, i + 1, A5_WIDTH - MARGIN - 340, 1480, 340);
	(void)fprintf(
		f,
		"<text x=\"%d\" y=\"1860\" font-size=\"38\" text-anchor=\"middle\">%s %zu</text>"
		"\n",
		A5_WIDTH - MARGIN - 170, words_text(WORDS_EN, WORDS_CARD_NUMBER), i + 1);
	p = (struct pen){ f, MARGIN, 1990, 42, 42, "bold" };
	put_word(&p, WORDS_PAGE_SAFETY);
	(void)fputs("</svg>\n", f);
	return r;
}

static int draw_label(FILE *f, const struct kit_plan *plan)
{
	struct pen p = { f, 40, 90, 60, 24, "bold" };
	int r;

	begin(f, LABEL_WIDTH, LABEL_HEIGHT);
	put_word(&p, WORDS_CARD_BOX);
	p.weight = "normal";
	p.size = 44;
	put_text(&p, plan->box);
	if (plan->help[0]) {
		p.y += 20;
		p.size = 36;
		p.columns = 28;
		put_word(&p, WORDS_CARD_HELP);
		put_text(&p, plan->help);
	}
	r = put_card_code(f, plan, 0, LABEL_WIDTH - 340, 30, 320);
	(void)fputs("</svg>\n", f);
	return r;
}

static int finish(FILE *f, int r, char **text, char **ret)
{
	if (fclose(f) != 0 && r == 0)
		r = -ENOMEM;
	if (r == 0)
		*ret = TAKE_PTR(*text);
	return r;
}

int kit_card(const struct kit_plan *p, size_t i, char **ret)
{
	_cleanup_free_ char *text = NULL;
	size_t len;
	FILE *f = open_memstream(&text, &len);

	return f ? finish(f, draw_card(f, p, i), &text, ret) : -ENOMEM;
}

int kit_label(const struct kit_plan *p, char **ret)
{
	_cleanup_free_ char *text = NULL;
	size_t len;
	FILE *f = open_memstream(&text, &len);

	return f ? finish(f, draw_label(f, p), &text, ret) : -ENOMEM;
}
