/* Cached sampling from a WaveNet, a chunk of samples a call, for a few utterances ("lanes") at once.

   Everything is float32 except the distribution function, which is float64. Channel counts are padded with zeros to
   multiples of 16. A matrix is stored by blocks of 64 outputs; a block is a row of its outputs for each input, so that
   a product reads its weights from first to last, once for all lanes. */

#include <math.h>
#include <stdint.h>
#include <string.h>

#if defined(__AVX512F__)
#define WIDTH 16
#define ROOM 24 /* registers for sums */
#elif defined(__AVX__)
#define WIDTH 8
#define ROOM 12
#else
#define WIDTH 4
#define ROOM 16
#endif
#define BLOCK 64
#define MOST_LANES 8
#define AHEAD 16 /* rows of weights that are asked for before they are needed, where memory is what limits */
#define INLINE static inline __attribute__((always_inline))

typedef float vec __attribute__((vector_size(4 * WIDTH)));
typedef float vec_at __attribute__((vector_size(4 * WIDTH), aligned(4), may_alias));
typedef int32_t ivec __attribute__((vector_size(4 * WIDTH)));
typedef double dvec __attribute__((vector_size(4 * WIDTH)));
typedef int64_t lvec __attribute__((vector_size(4 * WIDTH)));

/* Sizes are padded, except `outputs`, `classes` and `mixtures`. The order of the fields is that of packed.py. */
typedef struct {
    int64_t layers, channels, width, skip, outputs, padded_outputs;
    int64_t kernel, first_kernel, gated, all_skips, classes, mixtures, levels;
    double least_log_scale;
    const int64_t *dilations; /* layers */
    const float *first;       /* first_kernel, classes or 1, channels */
    const float *first_bias;  /* channels */
    const float *before;      /* layers, taps kernel - 1 ... 1, channels to width */
    const float *chain;       /* layers, then tap 0: channels to width; residual bias; residual: channels to channels */
    const float *skips;       /* layers channels to skip, or of the last layer alone */
    const float *skip_bias;
    const float *post;
    const float *post_bias;
    const float *out;
    const float *out_bias;
} Network;

typedef struct {
    int64_t lanes, time;
    float *queue;    /* layers, (kernel - 1) dilation, lanes, channels */
    float *recent;   /* lanes, first_kernel; the newest sample first */
    int32_t *exists; /* lanes; 0 where nothing has been: every layer's input is zero */
    float *a;        /* layers, lanes, width */
    float *x;        /* lanes, channels */
    float *z;        /* lanes, layers channels */
    float *kept;     /* lanes, skip */
    float *hidden;   /* lanes, skip */
    float *found;    /* lanes, padded_outputs */
    double *heap;    /* padded_outputs */
    int32_t *which;  /* skip + 16 */
} State;

INLINE vec load(const float *p) { return *(const vec_at *)p; }
INLINE void store(float *p, vec v) { *(vec_at *)p = v; }
INLINE vec choose(ivec where, vec a, vec b) { return (vec)((where & (ivec)a) | (~where & (ivec)b)); }

/* e^x for |x| <= 87: 2^n e^r, |r| <= ln 2 / 2, a polynomial of r; relative error below 2e-7. */
INLINE vec exponential(vec x) {
    const float magic = 12582912.0f; /* 1.5 2^23: adding it rounds to a whole number */
    vec shifted = x * 1.44269504f + magic;
    vec n = shifted - magic;
    vec r = x - n * 0.693359375f + n * 2.12194440e-4f;
    vec p = r * 1.9875691500e-4f + 1.3981999507e-3f;
    p = p * r + 8.3334519073e-3f;
    p = p * r + 4.1665795894e-2f;
    p = p * r + 1.6666665459e-1f;
    p = p * r + 5.0000001201e-1f;
    p = p * r * r + r + 1.0f;
    return (vec)((ivec)p + ((ivec)shifted << 23));
}

/* tanh(f) sigmoid(g) = (1 - e) / ((1 + e) (1 + s)) with e = exp(-2 |f|), s = exp(-g), times the sign of f.
   What is not a number stays none: the bits of its exponential may be any. */
INLINE vec unit(vec f, vec g) {
    const vec zero = {0};
    vec size = choose(f < zero, -f, f);
    vec e = size * -2.0f, s = -g;
    e = choose(e < zero - 80.0f, zero - 80.0f, e);
    s = choose(s > zero + 80.0f, zero + 80.0f, s);
    s = choose(s < zero - 80.0f, zero - 80.0f, s);
    e = exponential(e);
    s = exponential(s);
    vec z = (1.0f - e) / ((1.0f + e) * (1.0f + s));
    z = choose(f < zero, -z, z);
    return choose((f == f) & (g == g), z, f + g);
}

/* e^x for -700 <= x <= 0 in float64: Taylor to the 11th power, relative error below 1e-14. */
INLINE dvec exponential_64(dvec x) {
    const double magic = 6755399441055744.0; /* 1.5 2^52 */
    dvec shifted = x * 1.4426950408889634 + magic;
    dvec n = shifted - magic;
    dvec r = x - n * 6.93147180369123816490e-01 - n * 1.90821492927058770002e-10;
    dvec p = r * 2.505210838544172e-8 + 2.755731922398589e-7;
    p = p * r + 2.755731922398589e-6;
    p = p * r + 2.48015873015873e-5;
    p = p * r + 1.984126984126984e-4;
    p = p * r + 1.388888888888889e-3;
    p = p * r + 8.333333333333333e-3;
    p = p * r + 4.1666666666666664e-2;
    p = p * r + 1.6666666666666666e-1;
    p = p * r + 0.5;
    p = p * r * r + r + 1.0;
    return (dvec)((lvec)p + ((lvec)shifted << 52));
}

/* out += x w for some vectors of a block: sums stay in registers. `which`, if any, lists the inputs to be read. */
INLINE void block(const int lanes, const int vectors, float *out, int64_t out_step, const float *w, int64_t w_step,
                  const float *x, int64_t x_step, int64_t inputs, const int32_t *which) {
    vec sum[MOST_LANES][BLOCK / WIDTH];
#pragma GCC unroll 8
    for (int n = 0; n < lanes; n++)
#pragma GCC unroll 16
        for (int v = 0; v < vectors; v++) sum[n][v] = load(out + n * out_step + v * WIDTH);
    for (int64_t i = 0; i < inputs; i++) {
        const int64_t at = which ? which[i] : i;
        vec row[BLOCK / WIDTH];
#pragma GCC unroll 16
        for (int v = 0; v < vectors; v++) row[v] = load(w + at * w_step + v * WIDTH);
        if (lanes == 1) {
#pragma GCC unroll 16
            for (int v = 0; v < vectors; v += 64 / (4 * WIDTH))
                __builtin_prefetch(w + (which ? which[i + AHEAD] : at + AHEAD) * w_step + v * WIDTH);
        }
#pragma GCC unroll 8
        for (int n = 0; n < lanes; n++) {
            float one = x[n * x_step + at];
#pragma GCC unroll 16
            for (int v = 0; v < vectors; v++) sum[n][v] += one * row[v];
        }
    }
#pragma GCC unroll 8
    for (int n = 0; n < lanes; n++)
#pragma GCC unroll 16
        for (int v = 0; v < vectors; v++) store(out + n * out_step + v * WIDTH, sum[n][v]);
}

INLINE void product_of(const int lanes, float *out, int64_t out_step, const float *w, const float *x, int64_t x_step,
                       int64_t inputs, int64_t outputs, const int32_t *which, int64_t count) {
    const int full = BLOCK / WIDTH;
    const int most = lanes * full <= ROOM       ? full
                     : lanes * full / 2 <= ROOM ? full / 2
                     : lanes * full / 4 <= ROOM ? full / 4
                                                : (full / 8 ? full / 8 : 1);
    for (int64_t o = 0; o < outputs; o += BLOCK) {
        int64_t wide = outputs - o < BLOCK ? outputs - o : BLOCK, v = 0;
        const float *of = w + o * inputs;
        for (; v + most * WIDTH <= wide; v += most * WIDTH)
            block(lanes, most, out + o + v, out_step, of + v, wide, x, x_step, count, which);
        if (most > 2)
            for (; v + 2 * WIDTH <= wide; v += 2 * WIDTH)
                block(lanes, 2, out + o + v, out_step, of + v, wide, x, x_step, count, which);
        for (; v < wide; v += WIDTH) block(lanes, 1, out + o + v, out_step, of + v, wide, x, x_step, count, which);
    }
}

/* out (lanes, outputs) += x (lanes, inputs) w, with steps between lanes. */
static void product(int64_t lanes, float *out, int64_t out_step, const float *w, const float *x, int64_t x_step,
                    int64_t inputs, int64_t outputs) {
#define CASE(N) case N: product_of(N, out, out_step, w, x, x_step, inputs, outputs, 0, inputs); break;
    switch (lanes) { CASE(1) CASE(2) CASE(3) CASE(4) CASE(5) CASE(6) CASE(7) CASE(8) }
}

/* The same after a rectifier: of a single lane, weights of inputs that are zero need not be read. */
static void sparse_product(int64_t lanes, float *out, const float *w, const float *x, int64_t inputs, int64_t outputs,
                           int32_t *which) {
    if (lanes > 1) {
        product(lanes, out, outputs, w, x, inputs, inputs, outputs);
        return;
    }
    int64_t count = 0;
    for (int64_t i = 0; i < inputs; i++) {
        which[count] = (int32_t)i;
        count += x[i] != 0.0f;
    }
    for (int64_t i = count; i < count + AHEAD; i++) which[i] = 0;
    product_of(1, out, outputs, w, x, inputs, inputs, outputs, which, count);
}

static void rows(int64_t lanes, float *to, int64_t size, const float *from) {
    for (int64_t n = 0; n < lanes; n++) memcpy(to + n * size, from, size * sizeof(float));
}

/* A rectifier; what is not a number stays none. */
INLINE vec positive(vec x) {
    const vec zero = {0};
    return choose(x < zero, zero, x);
}

static void all_positive(float *x, int64_t size) {
    for (int64_t i = 0; i < size; i += WIDTH) store(x + i, positive(load(x + i)));
}

/* Whether some numbers, as many as fill whole vectors, are neither infinite nor none. */
static int all_finite(const float *x, int64_t size) {
    const vec zero = {0};
    ivec good = zero == zero;
    for (int64_t i = 0; i < size; i += WIDTH) good &= load(x + i) - load(x + i) == zero;
    for (int i = 0; i < WIDTH; i++)
        if (!good[i]) return 0;
    return 1;
}

/* Predict the next sample of every lane from `recent`; bias[n] is (layers, width). The result is in s->found. */
static void step(const Network *net, State *s, const float *const *bias) {
    const int64_t lanes = s->lanes, c = net->channels, w = net->width, back = net->kernel - 1, all = net->layers * c;
    /* 1. the first convolution */
    rows(lanes, s->x, c, net->first_bias);
    for (int64_t n = 0; n < lanes; n++)
        for (int64_t j = 0; j < net->first_kernel; j++) {
            float sample = s->recent[n * net->first_kernel + j], factor = net->classes ? 1.0f : sample;
            const float *row = net->first + c * (net->classes ? j * net->classes + (int64_t)sample : j);
            for (int64_t i = 0; i < c; i++) s->x[n * c + i] += factor * row[i];
        }
    /* 2. of all layers the taps that look back, since nothing of this sample is in them */
    float *queue = s->queue;
    const float *before = net->before;
    for (int64_t l = 0; l < net->layers; l++) {
        const int64_t d = net->dilations[l], room = back * d;
        float *a = s->a + l * lanes * w;
        for (int64_t n = 0; n < lanes; n++) memcpy(a + n * w, bias[n] + l * w, w * sizeof(float));
        for (int64_t j = back; j > 0; j--, before += c * w)
            product(lanes, a, w, before, queue + (s->time + room - j * d) % room * lanes * c, c, c, w);
        queue += room * lanes * c;
    }
    /* 3. the newest tap, layer by layer */
    queue = s->queue;
    const float *chain = net->chain;
    for (int64_t l = 0; l < net->layers; l++) {
        const int64_t room = back * net->dilations[l];
        float *a = s->a + l * lanes * w, *z = s->z + l * c;
        for (int64_t n = 0; n < lanes; n++)
            if (!s->exists[n]) memset(s->x + n * c, 0, c * sizeof(float));
        if (room) memcpy(queue + s->time % room * lanes * c, s->x, lanes * c * sizeof(float));
        queue += room * lanes * c;
        product(lanes, a, w, chain, s->x, c, c, w);
        for (int64_t n = 0; n < lanes; n++)
            for (int64_t i = 0; i < c; i += WIDTH) {
                vec f = load(a + n * w + i);
                store(z + n * all + i, net->gated ? unit(f, load(a + n * w + c + i)) : positive(f));
            }
        if (l + 1 < net->layers) {
            const float *residual = chain + c * w + c;
            for (int64_t n = 0; n < lanes; n++)
                for (int64_t i = 0; i < c; i++) s->x[n * c + i] += chain[c * w + i];
            product(lanes, s->x, c, residual, z, all, c, c);
        }
        chain += c * w + c + c * c;
    }
    /* 4. the skips, summed as one product, and what follows them */
    const int64_t from = net->all_skips ? 0 : all - c;
    rows(lanes, s->kept, net->skip, net->skip_bias);
    product(lanes, s->kept, net->skip, net->skips, s->z + from, all, all - from, net->skip);
    all_positive(s->kept, lanes * net->skip);
    rows(lanes, s->hidden, net->skip, net->post_bias);
    sparse_product(lanes, s->hidden, net->post, s->kept, net->skip, net->skip, s->which);
    all_positive(s->hidden, lanes * net->skip);
    rows(lanes, s->found, net->padded_outputs, net->out_bias);
    sparse_product(lanes, s->found, net->out, s->hidden, net->skip, net->padded_outputs, s->which);
    for (int64_t n = 0; n < lanes; n++) s->exists[n] = 1;
    s->time++;
}

/* Cumulative sums of exp((p - max p) / temperature), not normalised. */
static void distribution(const float *p, int64_t size, double temperature, double *to) {
    const dvec zero = {0};
    double most = p[0], sum = 0.0;
    for (int64_t i = 1; i < size; i++) most = p[i] > most ? p[i] : most;
    for (int64_t i = 0; i < size; i++) to[i] = (p[i] - most) / temperature;
    for (int64_t i = size; i % (WIDTH / 2); i++) to[i] = 0.0;
    for (int64_t i = 0; i < size; i += WIDTH / 2) {
        dvec x;
        memcpy(&x, to + i, sizeof x);
        lvec low = x < zero - 700.0;
        x = exponential_64((dvec)((low & (lvec)(zero - 700.0)) | (~low & (lvec)x)));
        memcpy(to + i, &x, sizeof x);
    }
    for (int64_t i = 0; i < size; i++) to[i] = sum += to[i];
}

/* The first place at which the distribution function exceeds the uniform number. */
static int64_t place(const double *cumulative, int64_t size, double uniform) {
    const double at = uniform * cumulative[size - 1];
    int64_t below = 0;
    for (int64_t i = 0; i < size; i++) below += cumulative[i] <= at;
    return below < size ? below : size - 1;
}

static float draw_logistic(const Network *net, const float *p, const double *uniform, double temperature, double *heap) {
    const int64_t k = net->mixtures;
    distribution(p, k, temperature, heap);
    const int64_t chosen = place(heap, k, uniform[0]);
    const double u = uniform[1] < 1e-12 ? 1e-12 : uniform[1] > 1.0 - 1e-12 ? 1.0 - 1e-12 : uniform[1];
    const double scale = p[2 * k + chosen] < net->least_log_scale ? net->least_log_scale : p[2 * k + chosen];
    double x = p[k + chosen] + exp(scale) * temperature * (log(u) - log1p(-u));
    x = x < -1.0 ? -1.0 : x > 1.0 ? 1.0 : x;
    const double top = (double)(net->levels - 1);
    return (float)(rint((x + 1.0) * (top / 2.0)) * (2.0 / top) - 1.0);
}

/* Draw `count` samples of every lane. The arrays are those of a whole batch; lane n is its member[n].

   terms: (batch, rows, layers, width), biases and conditions; index: (batch, count), the row of each sample;
   uniform: (batch, count, 1, or 2 of a mixture); drawn: (batch, count); parameters: (batch, count, outputs) or null.
   Gives the number of samples that were drawn: fewer than `count` where the parameters of one are not finite. */
int64_t reprise_wavenet_draw(const Network *net, State *s, const int64_t *member, int64_t count, const float *terms,
                          int64_t rows_each, const int32_t *index, const double *uniform, double temperature,
                          float *drawn, float *parameters) {
    const int64_t size = net->layers * net->width, each = net->mixtures ? 2 : 1, k1 = net->first_kernel;
    for (int64_t t = 0; t < count; t++) {
        const float *bias[MOST_LANES];
        for (int64_t n = 0; n < s->lanes; n++)
            bias[n] = terms + (member[n] * rows_each + index[member[n] * count + t]) * size;
        step(net, s, bias);
        for (int64_t n = 0; n < s->lanes; n++) {
            const float *p = s->found + n * net->padded_outputs;
            if (!all_finite(p, net->padded_outputs)) return t;
            const int64_t at = member[n] * count + t;
            float sample;
            if (net->mixtures) {
                sample = draw_logistic(net, p, uniform + at * each, temperature, s->heap);
            } else {
                distribution(p, net->outputs, temperature, s->heap);
                sample = (float)place(s->heap, net->outputs, uniform[at]);
            }
            drawn[at] = sample;
            if (parameters) memcpy(parameters + at * net->outputs, p, net->outputs * sizeof(float));
            memmove(s->recent + n * k1 + 1, s->recent + n * k1, (k1 - 1) * sizeof(float));
            s->recent[n * k1] = sample;
        }
    }
    return count;
}

/* tanh(f) sigmoid(g) of 64 numbers each, so that its error can be measured. */
void reprise_wavenet_unit(const float *f, const float *g, float *z) {
    for (int i = 0; i < 64; i += WIDTH) store(z + i, unit(load(f + i), load(g + i)));
}
