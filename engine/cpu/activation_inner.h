/* activation_inner.h - gelu and silu, compiled once per instruction set. Include after
 * vector_math.h.
 *
 * gelu(x) = x Phi(x) = max(x, 0) - |x| Phi(-|x|), with Phi(-a) = exp(-a^2 / 2) M(a): the tail is
 * computed as such, so that nothing cancels for negative x. M, the scaled tail, is smooth; here it
 * is a polynomial in t = 1 / (1 + a / 4), least squares in relative error over Chebyshev nodes for
 * 0 <= a <= 12 (9e-9; beyond, exp(-a^2 / 2) has vanished). */

INLINE vec gelu_of(vec x) {
    vec a = v_abs(x);
    vec t = v_div(v_set(1.0f), v_fma(a, v_set(0.25f), v_set(1.0f)));
    vec m = v_set(0.0366421254f);
    m = v_fma(m, t, v_set(-0.210790227f));
    m = v_fma(m, t, v_set(0.429378096f));
    m = v_fma(m, t, v_set(-0.379463288f));
    m = v_fma(m, t, v_set(0.343005569f));
    m = v_fma(m, t, v_set(-0.0412983957f));
    m = v_fma(m, t, v_set(0.128922847f));
    m = v_fma(m, t, v_set(0.093206093f));
    m = v_fma(m, t, v_set(0.10042952f));
    m = v_fma(m, t, v_set(-3.23422015e-05f));
    vec tail = v_mul(v_mul(a, m), v_exp(v_mul(v_mul(a, a), v_set(-0.5f))));
    return v_sub(v_mul(v_set(0.5f), v_add(x, a)), tail);
}

static void gelu(float *x, size_t count) {
    size_t i = 0;
    for (; i + LANES <= count; i += LANES) {
        v_store(x + i, gelu_of(v_load(x + i)));
    }
    if (i < count) {
        uint32_t left = (uint32_t)(count - i);
        v_store_part(x + i, gelu_of(v_load_part(x + i, left)), left);
    }
}

INLINE vec silu_of(vec x) {
    return v_div(x, v_add(v_set(1.0f), v_exp(v_sub(v_zero(), x))));
}

static void silu_multiply(float *gate, const float *up, size_t count) {
    size_t i = 0;
    for (; i + LANES <= count; i += LANES) {
        v_store(gate + i, v_mul(silu_of(v_load(gate + i)), v_load(up + i)));
    }
    if (i < count) {
        uint32_t left = (uint32_t)(count - i);
        vec y = v_mul(silu_of(v_load_part(gate + i, left)), v_load_part(up + i, left));
        v_store_part(gate + i, y, left);
    }
}
