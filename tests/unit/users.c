// Who used a number when it was something else counts until that thread has waited since.
#include "files/users.h"

#include "base/single.h"
#include "check.h"

static struct thread first, second, third;
static char several_threads; /* as libc says it: not one */

enum { NUMBER = 7 };

int main(void) {
    single_word = &several_threads;
    CHECK(users_follow() && !users_only(&first, NUMBER));
    users_born_of(&first, NUMBER);
    CHECK(!users_only(&first, NUMBER));
    users_add(&first, NUMBER);
    CHECK(users_only(&first, NUMBER) && users_knows(&first, NUMBER));

    CHECK(users_add(&second, NUMBER) && !users_only(&first, NUMBER) && !users_only(&second, NUMBER));
    users_born_of(&first, 8);
    users_add(&second, 8);
    CHECK(users_only(&second, 8));
    /* 8 becomes something else, of another thread */
    users_wait(&second);
    users_born_of(&first, 8);
    users_add(&first, 8);
    CHECK(!users_only(&first, 8));
    users_born_of(&first, 8); /* and once more, meanwhile */
    users_add(&first, 8);
    CHECK(!users_only(&first, 8));
    users_wait(&second);
    CHECK(users_only(&first, 8));
    /* its own use in an earlier life is nothing */
    users_born_of(&second, 8);
    users_add(&second, 8);
    CHECK(!users_only(&second, 8));
    users_wait(&first);
    CHECK(users_only(&second, 8));
    users_born_of(&third, 8);
    users_add(&second, 8);
    CHECK(users_only(&second, 8));
    /* two in a row */
    users_born_of(&third, 8);
    users_add(&first, 8);
    users_born_of(&third, 8);
    users_add(&third, 8);
    users_wait(&first);
    CHECK(!users_only(&third, 8));
    return 0;
}
