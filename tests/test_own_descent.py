"""A descent of one's own on the Python side: the rules are those of optax and of the searches."""

import json

import jax
import jax.numpy as jnp
import numpy as np
import optax
import pytest
from traitlets import TraitError

from sonimatch import GradientDescent, L1_Spec, Landscape, RMSProp, SIMSE_Spec, hp_noise, noise_am
from sonimatch.widgets.own_descent import OwnDescent, bilinear

TARGET = {"amp": 2.5, "modulator": 2}  # the middle of the cube
STRETCH = np.array([1.0, 0.3])
LOSSES = (L1_Spec(), SIMSE_Spec())


def bowl(size: int = 9, height: float = 1.0) -> Landscape:
    """A quadratic: its gradient is linear, so that interpolation changes nothing."""
    theta = np.stack(np.meshgrid(*[np.linspace(0, 1, size)] * 2, indexing="ij"), -1)
    return Landscape(theta, height * (STRETCH * (theta - 0.5) ** 2).sum(-1), height * 2 * STRETCH * (theta - 0.5))


def slope(size: int = 9) -> Landscape:
    """Downhill to one corner and beyond."""
    theta = bowl(size).theta
    return Landscape(theta, theta.sum(-1), np.ones_like(theta))


def element(landscapes=None, **traits) -> OwnDescent:
    landscapes = landscapes or {"L1_Spec": bowl(), "SIMSE_Spec": slope()}
    own = OwnDescent(noise_am, [loss for loss in LOSSES if loss.name in landscapes], TARGET, landscapes)
    own.theta = traits.pop("theta", [0.9, 0.2])
    for name, setting in traits.items():
        setattr(own, name, setting)
    return own


SETTINGS = [
    {},
    {"rule": "GradientDescent", "learning_rate": 0.1},
    {"clip_norm": None},
    {"clip_norm": 0.05, "rule": "GradientDescent", "learning_rate": 0.3},
    {"momentum": 0.7},
    {"momentum": 0.9, "rule": "GradientDescent", "learning_rate": 0.02, "clip_norm": None},
    {"bounded": True},
]


def in_optax(own: OwnDescent, surface: Landscape) -> np.ndarray:
    """The same 200 steps by optax in double precision, the gradient interpolated by `map_coordinates`."""
    momentum = own.momentum or None
    rule = (
        optax.rmsprop(own.learning_rate, decay=0.9, eps=1e-8, momentum=momentum)
        if own.rule == "RMSProp"
        else optax.sgd(own.learning_rate, momentum=momentum)
    )
    chain = optax.chain(optax.identity() if own.clip_norm is None else optax.clip_by_global_norm(own.clip_norm), rule)
    with jax.enable_x64(True):
        grids = jnp.asarray(np.asarray(surface.gradient, np.float32), float)

        def step(state, _):
            nu, memory = state
            theta = (nu + 1) / 2
            place = jnp.clip(theta, 0, 1) * (jnp.array(grids.shape[:2]) - 1)
            read = jnp.stack([jax.scipy.ndimage.map_coordinates(grids[..., i], list(place), 1) for i in (0, 1)]) / 2
            move, memory = chain.update(jnp.where((theta >= 0) & (theta <= 1), read, 0), memory)
            nu = jnp.clip(nu + move, -1, 1) if own.bounded else nu + move
            return (nu, memory), (nu + 1) / 2

        nu = 2 * jnp.array(own.theta) - 1
        rest = jax.lax.scan(step, (nu, chain.init(nu)), None, 200)[1]
        return np.vstack([own.theta, rest])


@pytest.mark.parametrize("settings", SETTINGS, ids=str)
def test_the_descent_is_that_of_optax(settings):
    own = element(**settings)
    for name, path in own.paths().items():
        np.testing.assert_allclose(path, in_optax(own, own.landscapes[name]), atol=1e-4, err_msg=name)


@pytest.mark.told_start
@pytest.mark.parametrize("search", [RMSProp(), GradientDescent(learning_rate=0.1), RMSProp(clip_norm=0.01)], ids=repr)
def test_the_descent_is_that_of_the_searches(search):
    own = element(rule=search.name, learning_rate=search.learning_rate, clip_norm=search.clip_norm)

    def objective(theta):
        return (STRETCH * (theta - 0.5) ** 2).sum()

    with jax.enable_x64(True):
        state = search.init(jnp.array(own.theta), jax.random.key(0))
        for point in own.paths()["L1_Spec"][:30]:
            state, seen = search.step(state, objective, jax.random.key(0))
            np.testing.assert_allclose(seen.theta, point, atol=1e-6)


def test_a_parameter_that_leaves_does_not_return_unless_it_is_bounded():
    own = element({"L1_Spec": slope()}, theta=[0.3, 0.05])
    out = own.paths()["L1_Spec"]
    assert out[-1].max() < 0
    assert (out[150:] == out[-1]).all(), "no gradient there, so it rests"
    own.bounded = True
    np.testing.assert_allclose(own.paths()["L1_Spec"][-1], 0, atol=1e-12)


def test_what_is_not_finite_counts_as_no_gradient():
    flat = bowl()
    flat.gradient[:] = np.nan
    own = element({"L1_Spec": flat})
    np.testing.assert_allclose(own.paths()["L1_Spec"] - own.theta, 0, atol=1e-12)


def test_who_arrives():
    own = element()
    assert {name: bool(each) for name, each in own.arrived().items()} == {"L1_Spec": True, "SIMSE_Spec": False}
    many = own.arrived(own.starts)
    assert own.starts.shape == (30, 2)
    assert many["L1_Spec"].shape == (30,)
    assert many["L1_Spec"].all()
    assert "L1_Spec arrives, SIMSE_Spec does not arrive" in own.sentence()


def test_interpolation_is_exact_for_a_bilinear_function(rng):
    x, y = np.meshgrid(np.linspace(0, 1, 4), np.linspace(0, 1, 6), indexing="ij")
    u, v = rng.uniform(size=(2, 50))
    u[:2], v[:2] = [0, 1], [1, 0]
    np.testing.assert_allclose(bilinear(1 + 2 * x - 3 * y + 4 * x * y, u, v), 1 + 2 * u - 3 * v + 4 * u * v)


def test_landscapes_are_computed_where_none_is_given():
    own = OwnDescent(noise_am, LOSSES[:1], TARGET, num=3, progress=False)
    surface = own.landscapes["L1_Spec"]
    assert surface.value.shape == (3, 3)
    assert surface.value[1, 1] < 1e-6, "the target is the middle"


def test_the_page_is_small():
    own = element({"L1_Spec": bowl(25), "SIMSE_Spec": slope(25)})
    assert len(json.dumps(own.data)) < 40_000


def test_what_does_not_fit_is_named():
    with pytest.raises(ValueError, match="a map has two parameters; hp_noise has 1"):
        OwnDescent(hp_noise, LOSSES, {})
    with pytest.raises(ValueError, match=r"losses must be one or more.*L1_Spec, L1_Spec"):
        OwnDescent(noise_am, LOSSES[:1] * 2, TARGET)
    with pytest.raises(ValueError, match=r"a landscape for 'other', which is no loss \(there are: L1_Spec\)"):
        OwnDescent(noise_am, LOSSES[:1], TARGET, {"other": bowl()})
    crooked = Landscape(np.square(bowl().theta), bowl().value, bowl().gradient)
    with pytest.raises(ValueError, match="even steps from 0 to 1"):
        OwnDescent(noise_am, LOSSES[:1], TARGET, {"L1_Spec": crooked})
    with pytest.raises(ValueError, match="modulator = 9 is out of range"):
        OwnDescent(noise_am, LOSSES[:1], {"modulator": 9}, {"L1_Spec": bowl()})
    own = element()
    for name, setting, legal in (("rule", "Adam", "RMSProp"), ("learning_rate", 1.0, "0.5"), ("momentum", 1.0, "0.99")):
        with pytest.raises(TraitError, match=legal):
            setattr(own, name, setting)


def test_without_scripts_there_is_a_picture_and_a_sentence(tmp_path, monkeypatch):
    monkeypatch.setenv("SONIMATCH_SOUNDS", str(tmp_path))
    output = element()._repr_mimebundle_()
    assert "RMSProp on noise_am from amp 4.5" in output["text/html"]
    assert output["image/png"]
