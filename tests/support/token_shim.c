/* A PKCS#11 module around another one, for tests: it can be slow, be gone, restart, and it counts.
 *
 * Beside the library FILE.so stands FILE.so.conf with three lines: the path of the real module, a
 * directory, and the SOFTHSM2_CONF that it is to see. In that directory the file `delay` holds the
 * milliseconds a signature takes, the file `gone` makes the token disappear, with `refusing` it
 * takes no objects, and each change of the file `restarts` (its size) makes the real module start
 * anew, so that every session, login and handle from before is void. The file `counts` holds four
 * 64-bit numbers: signatures, sessions opened, sessions closed, logins.
 *
 * Only what is needed of the PKCS#11 interface is declared here (section 3 and 5 of the standard):
 * a function list is a version and 68 pointers, whose order is fixed.
 */
#define _GNU_SOURCE
#include <dlfcn.h>
#include <fcntl.h>
#include <limits.h>
#include <pthread.h>
#include <stdatomic.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/mman.h>
#include <sys/stat.h>
#include <time.h>
#include <unistd.h>

typedef unsigned long CK_ULONG;
typedef CK_ULONG CK_RV;
struct function_list {
    unsigned char version[2];
    void *function[68];
};
enum {
    INITIALIZE = 0, FINALIZE = 1, GET_FUNCTION_LIST = 3, GET_SLOT_LIST = 4, GET_TOKEN_INFO = 6,
    OPEN_SESSION = 12, CLOSE_SESSION = 13, GET_SESSION_INFO = 15, LOGIN = 18,
    CREATE_OBJECT = 20, GET_ATTRIBUTE_VALUE = 24, FIND_OBJECTS_INIT = 26, SIGN_INIT = 42, SIGN = 43,
    SIGN_FINAL = 45
};
enum { OK = 0, ATTRIBUTE_VALUE_INVALID = 0x13, DEVICE_REMOVED = 0x32, TOKEN_NOT_PRESENT = 0xE0, LOCKING_OK = 2 };
enum { SIGNATURES, OPENED, CLOSED, LOGINS };

static struct function_list *real, mine;
static char directory[PATH_MAX - 16], softhsm[PATH_MAX];
static _Atomic unsigned long *counts;
static long restarts;
static pthread_mutex_t restarting = PTHREAD_MUTEX_INITIALIZER;

static void in_directory(char *path, const char *name)
{
    snprintf(path, PATH_MAX, "%s/%s", directory, name);
}

static long size_of(const char *name)
{
    char path[PATH_MAX];
    struct stat status;
    in_directory(path, name);
    return stat(path, &status) == 0 ? (long)status.st_size : -1;
}

/* The real module reads the variable while it is initialised, and two shims may differ in it. */
static CK_RV initialize(void *arguments)
{
    char *former = getenv("SOFTHSM2_CONF");
    former = former != NULL ? strdup(former) : NULL;
    setenv("SOFTHSM2_CONF", softhsm, 1);
    CK_RV answer = ((CK_RV(*)(void *))real->function[INITIALIZE])(arguments);
    if (former != NULL)
        setenv("SOFTHSM2_CONF", former, 1);
    else
        unsetenv("SOFTHSM2_CONF");
    free(former);
    return answer;
}

/* What the token answers now; a restart that is due happens first. */
static CK_RV state(void)
{
    struct {
        void *mutexes[4];
        CK_ULONG flags;
        void *reserved;
    } arguments = { { NULL }, LOCKING_OK, NULL };
    if (size_of("gone") >= 0)
        return DEVICE_REMOVED;
    pthread_mutex_lock(&restarting);
    if (size_of("restarts") != restarts) {
        restarts = size_of("restarts");
        ((CK_RV(*)(void *))real->function[FINALIZE])(NULL);
        initialize(&arguments);
        CK_ULONG number = 0;
        ((CK_RV(*)(unsigned char, CK_ULONG *, CK_ULONG *))real->function[GET_SLOT_LIST])(0, NULL, &number);
    }
    pthread_mutex_unlock(&restarting);
    return OK;
}

static CK_RV get_slot_list(unsigned char present, CK_ULONG *slots, CK_ULONG *number)
{
    if (state() != OK) {
        *number = 0;
        return OK;
    }
    return ((CK_RV(*)(unsigned char, CK_ULONG *, CK_ULONG *))real->function[GET_SLOT_LIST])(present, slots, number);
}

static CK_RV get_token_info(CK_ULONG slot, void *information)
{
    if (state() != OK)
        return TOKEN_NOT_PRESENT;
    return ((CK_RV(*)(CK_ULONG, void *))real->function[GET_TOKEN_INFO])(slot, information);
}

static CK_RV open_session(CK_ULONG slot, CK_ULONG flags, void *application, void *notify, CK_ULONG *session)
{
    if (state() != OK)
        return TOKEN_NOT_PRESENT;
    CK_RV answer = ((CK_RV(*)(CK_ULONG, CK_ULONG, void *, void *, CK_ULONG *))real->function[OPEN_SESSION])(
        slot, flags, application, notify, session);
    if (answer == OK)
        counts[OPENED]++;
    return answer;
}

static CK_RV close_session(CK_ULONG session)
{
    if (state() != OK)
        return DEVICE_REMOVED;
    CK_RV answer = ((CK_RV(*)(CK_ULONG))real->function[CLOSE_SESSION])(session);
    if (answer == OK)
        counts[CLOSED]++;
    return answer;
}

static CK_RV get_session_info(CK_ULONG session, void *information)
{
    if (state() != OK)
        return DEVICE_REMOVED;
    return ((CK_RV(*)(CK_ULONG, void *))real->function[GET_SESSION_INFO])(session, information);
}

static CK_RV login(CK_ULONG session, CK_ULONG user, void *pin, CK_ULONG length)
{
    if (state() != OK)
        return DEVICE_REMOVED;
    counts[LOGINS]++;
    return ((CK_RV(*)(CK_ULONG, CK_ULONG, void *, CK_ULONG))real->function[LOGIN])(session, user, pin, length);
}

static CK_RV create_object(CK_ULONG session, void *template, CK_ULONG number, CK_ULONG *object)
{
    if (state() != OK)
        return DEVICE_REMOVED;
    if (size_of("refusing") >= 0)
        return ATTRIBUTE_VALUE_INVALID;
    return ((CK_RV(*)(CK_ULONG, void *, CK_ULONG, CK_ULONG *))real->function[CREATE_OBJECT])(
        session, template, number, object);
}

static CK_RV get_attribute_value(CK_ULONG session, CK_ULONG object, void *template, CK_ULONG number)
{
    if (state() != OK)
        return DEVICE_REMOVED;
    return ((CK_RV(*)(CK_ULONG, CK_ULONG, void *, CK_ULONG))real->function[GET_ATTRIBUTE_VALUE])(
        session, object, template, number);
}

static CK_RV find_objects_init(CK_ULONG session, void *template, CK_ULONG number)
{
    if (state() != OK)
        return DEVICE_REMOVED;
    return ((CK_RV(*)(CK_ULONG, void *, CK_ULONG))real->function[FIND_OBJECTS_INIT])(session, template, number);
}

static CK_RV sign_init(CK_ULONG session, void *mechanism, CK_ULONG key)
{
    if (state() != OK)
        return DEVICE_REMOVED;
    return ((CK_RV(*)(CK_ULONG, void *, CK_ULONG))real->function[SIGN_INIT])(session, mechanism, key);
}

static void take_time(void)
{
    char path[PATH_MAX];
    int milliseconds = 0;
    in_directory(path, "delay");
    FILE *file = fopen(path, "r");
    if (file != NULL) {
        if (fscanf(file, "%d", &milliseconds) != 1)
            milliseconds = 0;
        fclose(file);
    }
    struct timespec time = { milliseconds / 1000, milliseconds % 1000 * 1000000L };
    nanosleep(&time, NULL);
    counts[SIGNATURES]++;
}

static CK_RV sign(CK_ULONG session, void *data, CK_ULONG size, void *signature, CK_ULONG *length)
{
    if (state() != OK)
        return DEVICE_REMOVED;
    if (signature != NULL)
        take_time();
    return ((CK_RV(*)(CK_ULONG, void *, CK_ULONG, void *, CK_ULONG *))real->function[SIGN])(
        session, data, size, signature, length);
}

static CK_RV sign_final(CK_ULONG session, void *signature, CK_ULONG *length)
{
    if (state() != OK)
        return DEVICE_REMOVED;
    if (signature != NULL)
        take_time();
    return ((CK_RV(*)(CK_ULONG, void *, CK_ULONG *))real->function[SIGN_FINAL])(session, signature, length);
}

static int load(void)
{
    Dl_info own;
    char path[2 * PATH_MAX], library[PATH_MAX];
    if (!dladdr((void *)load, &own))
        return 0;
    snprintf(path, sizeof path, "%s.conf", own.dli_fname);
    FILE *file = fopen(path, "r");
    if (file == NULL)
        return 0;
    int read = fscanf(file, " %4095[^\n] %4079[^\n] %4095[^\n]", library, directory, softhsm);
    fclose(file);
    void *handle = read == 3 ? dlopen(library, RTLD_NOW | RTLD_LOCAL) : NULL;
    if (handle == NULL)
        return 0;
    CK_RV (*get_list)(struct function_list **) = dlsym(handle, "C_GetFunctionList");
    if (get_list == NULL || get_list(&real) != OK)
        return 0;
    in_directory(path, "counts");
    int counted = open(path, O_RDWR | O_CREAT, 0600);
    if (counted < 0 || ftruncate(counted, 4096) != 0)
        return 0;
    counts = mmap(NULL, 4096, PROT_READ | PROT_WRITE, MAP_SHARED, counted, 0);
    close(counted);
    restarts = size_of("restarts");
    return counts != MAP_FAILED;
}

CK_RV C_GetFunctionList(struct function_list **list)
{
    if (real == NULL && !load())
        return 5; /* CKR_GENERAL_ERROR */
    mine = *real;
    mine.function[INITIALIZE] = (void *)initialize;
    mine.function[GET_FUNCTION_LIST] = (void *)C_GetFunctionList;
    mine.function[GET_SLOT_LIST] = (void *)get_slot_list;
    mine.function[GET_TOKEN_INFO] = (void *)get_token_info;
    mine.function[OPEN_SESSION] = (void *)open_session;
    mine.function[CLOSE_SESSION] = (void *)close_session;
    mine.function[GET_SESSION_INFO] = (void *)get_session_info;
    mine.function[LOGIN] = (void *)login;
    mine.function[CREATE_OBJECT] = (void *)create_object;
    mine.function[GET_ATTRIBUTE_VALUE] = (void *)get_attribute_value;
    mine.function[FIND_OBJECTS_INIT] = (void *)find_objects_init;
    mine.function[SIGN_INIT] = (void *)sign_init;
    mine.function[SIGN] = (void *)sign;
    mine.function[SIGN_FINAL] = (void *)sign_final;
    *list = &mine;
    return OK;
}
