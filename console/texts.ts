import { chooseForm, formatCount, type Language, language } from './language.ts'

/** A text in every language. */
type Entry<Text> = Readonly<Record<Language, Text>>

/** A text, in English and in Russian. With values, both are functions of the same ones. */
function say(en: string, ru: string): Entry<string>
function say<Values extends unknown[]>(
  en: (...values: Values) => string,
  ru: (...values: Values) => string
): Entry<(...values: Values) => string>
function say<Text>(en: Text, ru: Text): Entry<Text> {
  return { en, ru }
}

/** A number with its noun: English needs two forms of it, Russian three. */
function sayCount(en: [one: string, other: string], ru: [one: string, few: string, many: string]) {
  return say(
    (number: number) => `${formatCount(number)} ${chooseForm(number, { one: en[0], other: en[1] })}`,
    (number: number) =>
      `${formatCount(number)} ${chooseForm(number, { one: ru[0], few: ru[1], many: ru[2], other: ru[1] })}`
  )
}

/** Every text that is shown, by the part of the console that shows it. */
const table = {
  common: {
    title: say('User segments', 'Сегменты пользователей'),
    skip: say('Skip to content', 'Перейти к содержанию'),
    cancel: say('Cancel', 'Отмена'),
    close: say('Close', 'Закрыть'),
    save: say('Save', 'Сохранить'),
    delete: say('Delete', 'Удалить'),
    retry: say('Try again', 'Повторить'),
    loading: say('Loading…', 'Загрузка…'),
    none: say('none', 'нет'),
    never: say('never', 'никогда'),
    yes: say('yes', 'да'),
    no: say('no', 'нет'),
    now: say('now', 'сейчас'),
    details: say('Details', 'Подробности'),
    copy: say('Copy', 'Копировать'),
    copied: say('Copied', 'Скопировано'),
    optional: say('optional', 'необязательно'),
    showMore: say('Show more', 'Показать ещё'),
    noKeyName: say('no key', 'без ключа'),
    service: say('service', 'сервис'),
    users: sayCount(['user', 'users'], ['пользователь', 'пользователя', 'пользователей']),
    segments: sayCount(['segment', 'segments'], ['сегмент', 'сегмента', 'сегментов'])
  },
  navigation: {
    label: say('Main', 'Главное меню'),
    segments: say('Segments', 'Сегменты'),
    groups: say('Groups', 'Группы'),
    imports: say('Imports', 'Загрузки'),
    reports: say('Reports', 'Отчёты'),
    changes: say('Changes', 'Изменения'),
    webhooks: say('Webhooks', 'Вебхуки'),
    system: say('System', 'Система'),
    documentation: say('API documentation', 'Документация API'),
    goTo: say('Go to a user or a segment', 'Перейти к пользователю или сегменту'),
    goToPlaceholder: say('User id or slug', 'Номер или сегмент'),
    wentTo: say(
      (title: string) => `Page: ${title}`,
      (title: string) => `Страница: ${title}`
    )
  },
  settings: {
    language: say('Language', 'Язык'),
    theme: say('Colours', 'Цвета'),
    system: say('Auto', 'Авто'),
    light: say('Light', 'Светлые'),
    dark: say('Dark', 'Тёмные')
  },
  session: {
    title: say('Sign in', 'Вход'),
    intro: say(
      'Enter the secret of your API key. It decides what you may see and change.',
      'Введите секрет своего ключа API. Он определяет, что вам видно и что вы можете менять.'
    ),
    key: say('API key', 'Ключ API'),
    keep: say('Keep it until this tab is closed', 'Помнить, пока открыта вкладка'),
    keepHint: say(
      'Otherwise it is forgotten when the page is loaded again.',
      'Иначе он забывается при перезагрузке страницы.'
    ),
    signIn: say('Sign in', 'Войти'),
    signOut: say('Sign out', 'Выйти'),
    wrongKey: say('This matches no API key.', 'Такого ключа API нет.'),
    expired: say(
      'Your key is no longer valid. Sign in with another one.',
      'Ваш ключ больше не действует. Войдите с другим.'
    ),
    open: say('No keys: full access for all', 'Ключей нет: полный доступ у всех'),
    signedInAs: say(
      (name: string, role: string) => `${name} · ${role}`,
      (name: string, role: string) => `${name} · ${role}`
    ),
    roles: {
      reader: say('reader', 'чтение'),
      editor: say('editor', 'правка'),
      admin: say('admin', 'администратор')
    }
  },
  errors: {
    title: say('This did not work', 'Не получилось'),
    outage: say(
      'The service does not answer. Trying again by itself.',
      'Сервис не отвечает. Попытки продолжаются.'
    ),
    requestId: say(
      (id: string) => `Request ${id}`,
      (id: string) => `Запрос ${id}`
    ),
    unexpected: say('Something unexpected happened in the console.', 'В консоли случилось непредвиденное.'),
    notFound: say('There is no such page', 'Такой страницы нет'),
    notFoundHint: say('The address may be misspelt.', 'Возможно, в адресе ошибка.'),
    toStart: say('To the segments', 'К сегментам'),
    notLoaded: say(
      'The page could not be loaded. The service may not answer, or may have been upgraded.',
      'Не удалось загрузить страницу. Возможно, сервис не отвечает или был обновлён.'
    ),
    loadAgain: say('Load again', 'Загрузить снова')
  },
  confirm: {
    typeSlug: say(
      (slug: string) => `Type ${slug} to confirm`,
      (slug: string) => `Для подтверждения введите ${slug}`
    )
  },
  lists: {
    results: say(
      (count: number, isComplete: boolean) => `${formatCount(count)}${isComplete ? '' : '+'} shown`,
      (count: number, isComplete: boolean) => `Показано: ${formatCount(count)}${isComplete ? '' : '+'}`
    ),
    nothing: say('Nothing found', 'Ничего не найдено')
  },
  segments: {
    title: say('Segments', 'Сегменты'),
    search: say('Search slugs and descriptions', 'Поиск по именам и описаниям'),
    showDeleted: say('Show deleted', 'Показывать удалённые'),
    create: say('New segment', 'Новый сегмент'),
    slug: say('Segment', 'Сегмент'),
    members: say('Members', 'Участники'),
    share: say('Share', 'Доля'),
    trend: say('30 days', '30 дней'),
    trendOf: say(
      (slug: string, first: string, last: string) => `Size of ${slug} over 30 days: from ${first} to ${last}`,
      (slug: string, first: string, last: string) => `Размер ${slug} за 30 дней: от ${first} до ${last}`
    ),
    group: say('Group', 'Группа'),
    created: say('Created', 'Создан'),
    deleted: say('deleted', 'удалён'),
    filling: say('being filled', 'заполняется'),
    failed: say('not filled', 'не заполнен'),
    emptyTitle: say('No segments yet', 'Сегментов пока нет'),
    emptyHint: say(
      'A segment is a named set of users: those you add, or a share of all users.',
      'Сегмент — именованный набор пользователей: добавленных поимённо или доли от всех.'
    ),
    emptySearch: say('No segment matches', 'Нет подходящих сегментов'),
    emptySearchHint: say(
      'Try fewer letters, or show deleted ones.',
      'Попробуйте меньше букв или покажите удалённые.'
    )
  },
  imports: {
    title: say('Imports', 'Загрузки'),
    intro: say(
      'Upload a file of user ids. What will change is counted first; nothing changes until you confirm it.',
      'Загрузите файл с номерами пользователей. Сначала изменения подсчитываются; до подтверждения ничего не меняется.'
    ),
    forbidden: say('Your key may not import users', 'Вашим ключом загружать нельзя'),
    forbiddenHint: say(
      'Sign in with a key of an editor or an administrator.',
      'Войдите с ключом с правами правки или администратора.'
    ),
    what: say('What to do with the users of the file', 'Что сделать с пользователями из файла'),
    choices: {
      add: say('Add to a segment', 'Добавить в сегмент'),
      remove: say('Remove from a segment', 'Убрать из сегмента'),
      replace: say('Replace the members of a segment', 'Заменить состав сегмента'),
      know: say('Make known', 'Сделать известными')
    },
    choiceHints: {
      add: say('They join; all others stay.', 'Они войдут; остальные останутся.'),
      remove: say('They leave; all others stay.', 'Они выйдут; остальные останутся.'),
      replace: say(
        'The file is the whole segment: whoever is missing leaves.',
        'Файл — весь состав: кого в нём нет, те выйдут.'
      ),
      know: say(
        'They join no segment by name; shares can be sampled from them.',
        'Поимённо никуда не войдут; из них можно делать выборки.'
      )
    },
    segment: say('Segment', 'Сегмент'),
    file: say('File', 'Файл'),
    fileHint: say(
      'One user id a line. CSV (from a spreadsheet too), NDJSON or a JSON array, also compressed as .gz; up to 1 GiB. A second column, expires_at, may end a membership.',
      'По номеру в строке. CSV (и из таблиц), NDJSON или массив JSON, можно сжатые .gz; до 1 ГиБ. Второй столбец, expires_at, может задать срок участия.'
    ),
    choose: say('Choose a file', 'Выбрать файл'),
    drop: say('Or drop a file anywhere on this page.', 'Или перетащите файл на страницу.'),
    workbook: say(
      'This is a workbook. Save it as CSV, and choose that.',
      'Это книга с таблицами. Сохраните её как CSV и выберите тот файл.'
    ),
    emptyFile: say('This file is empty.', 'Файл пуст.'),
    tooLarge: say('This file is larger than 1 GiB. Split it.', 'Файл больше 1 ГиБ. Разделите его.'),
    unreadable: say(
      'The file cannot be read: it may have been changed or removed since it was chosen. Choose it again.',
      'Файл не читается: возможно, он изменён или удалён после выбора. Выберите его снова.'
    ),
    check: say('Check the file', 'Проверить файл'),
    checkHint: say('Nothing changes by that.', 'При этом ничего не меняется.'),
    checking: say('Checking the file', 'Проверка файла'),
    doing: say('Uploading', 'Загрузка'),
    sent: say(
      (sent: string, total: string) => `${sent} of ${total} sent`,
      (sent: string, total: string) => `Отправлено ${sent} из ${total}`
    ),
    counting: say('The whole file is sent. The service counts.', 'Файл отправлен целиком. Сервис считает.'),
    takingEffect: say(
      'The whole file is sent. It is taking effect, for all users at one moment; a million take up to a minute.',
      'Файл отправлен целиком и вступает в силу, для всех сразу; миллион занимает до минуты.'
    ),
    cancelHint: say('Cancelling changes nothing.', 'При отмене ничего не изменится.'),
    cannotStop: say(
      'The service has the file, and does not stop any more: cancelling only ends the waiting.',
      'Файл у сервиса, и он уже не остановится: отмена прервёт только ожидание.'
    ),
    checked: say('Checked. Nothing has changed yet.', 'Проверено. Пока ничего не изменено.'),
    done: say('Done', 'Готово'),
    failed: say('Not done', 'Не выполнено'),
    willChange: say('What will change', 'Что изменится'),
    nothingYet: say('Nothing has changed yet.', 'Пока ничего не изменено.'),
    effects: {
      add: say(
        (users: string, slug: string) => `${users} will join ${slug}.`,
        (users: string, slug: string) => `Войдут в ${slug}: ${users}.`
      ),
      remove: say(
        (users: string, slug: string) => `${users} will leave ${slug}.`,
        (users: string, slug: string) => `Выйдут из ${slug}: ${users}.`
      ),
      replace: say(
        (added: string, removed: string, slug: string) =>
          `${added} will join ${slug}, ${removed} will leave.`,
        (added: string, removed: string, slug: string) => `${slug}: войдут ${added}, выйдут ${removed}.`
      ),
      know: say(
        (users: string) => `${users} will become known.`,
        (users: string) => `Станут известны: ${users}.`
      )
    },
    actions: {
      add: say(
        (users: string, slug: string) => `Add ${users} to ${slug}`,
        (users: string, slug: string) => `Добавить в ${slug}: ${users}`
      ),
      remove: say(
        (users: string, slug: string) => `Remove ${users} from ${slug}`,
        (users: string, slug: string) => `Убрать из ${slug}: ${users}`
      ),
      replace: say(
        (added: string, removed: string, slug: string) => `Replace ${slug}: ${added} in, ${removed} out`,
        (added: string, removed: string, slug: string) =>
          `Заменить ${slug}: ${added} внутрь, ${removed} наружу`
      ),
      know: say(
        (users: string) => `Make ${users} known`,
        (users: string) => `Сделать известными: ${users}`
      )
    },
    results: {
      add: say(
        (users: string, slug: string) => `${users} joined ${slug}.`,
        (users: string, slug: string) => `Вошли в ${slug}: ${users}.`
      ),
      remove: say(
        (users: string, slug: string) => `${users} left ${slug}.`,
        (users: string, slug: string) => `Вышли из ${slug}: ${users}.`
      ),
      replace: say(
        (added: string, removed: string, slug: string) => `${added} joined ${slug}, ${removed} left.`,
        (added: string, removed: string, slug: string) => `${slug}: вошли ${added}, вышли ${removed}.`
      ),
      know: say(
        (users: string) => `${users} became known.`,
        (users: string) => `Стали известны: ${users}.`
      )
    },
    counts: {
      added: say('Join', 'Войдут'),
      removed: say('Leave', 'Выйдут'),
      already_members: say('Members already', 'Уже участники'),
      not_members: say('Not members', 'Не участники'),
      new_users: say('Seen for the first time', 'Встречены впервые'),
      already_known: say('Known already', 'Уже известны')
    },
    lines: say('Lines', 'Строки'),
    rejected: say('Rejected lines', 'Отклонены'),
    rejectedLines: say('Rejected lines', 'Отклонённые строки'),
    line: say('Line', 'Строка'),
    value: say('Value', 'Значение'),
    reason: say('Reason', 'Причина'),
    onlyFirst: say(
      (shown: string, count: string) => `The first ${shown} of ${count} are shown.`,
      (shown: string, count: string) => `Показаны первые ${shown} из ${count}.`
    ),
    skip: say('Skip the rejected lines', 'Пропустить отклонённые строки'),
    skipHint: say(
      'Otherwise correct the file, and check it again.',
      'Иначе исправьте файл и проверьте снова.'
    ),
    confirm: say('Remove users from the segment?', 'Убрать пользователей из сегмента?'),
    noMore: say(
      'If more would leave by then, nothing changes.',
      'Если к тому времени выйти должны будут больше, ничего не изменится.'
    ),
    differs: say(
      'Others have changed users since the check, so the counts differ from it.',
      'После проверки пользователей меняли и другие, поэтому числа отличаются.'
    ),
    toSegment: say(
      (slug: string) => `To ${slug}`,
      (slug: string) => `К ${slug}`
    ),
    another: say('Another file', 'Другой файл'),
    retryIsSafe: say(
      'It may have taken effect. Trying again is safe: it takes effect once.',
      'Возможно, изменения вступили в силу. Повтор безопасен: второго раза не будет.'
    ),
    nothingChanged: say('Nothing has changed.', 'Ничего не изменено.'),
    checkAgain: say('Check again', 'Проверить снова'),
    cancelledTitle: say('Cancelled', 'Отменено'),
    cancelled: say('Cancelled. Nothing has changed.', 'Отменено. Ничего не изменено.'),
    mayTakeEffect: say(
      'The service had the whole file already, so it may still take effect. Check again to see what is left to change.',
      'Файл уже был у сервиса целиком и ещё может вступить в силу. Проверьте снова, чтобы узнать, что осталось изменить.'
    )
  },
  groups: {
    title: say('Groups', 'Группы'),
    label: say('Group', 'Группа'),
    segments: say('Segments', 'Сегменты'),
    created: say('Created', 'Создана'),
    create: say('New group', 'Новая группа'),
    createEffect: say(
      (slug: string) =>
        `${slug} will be created without segments. A user will be in at most one of those that enter it.`,
      (slug: string) =>
        `Будет создана ${slug} без сегментов. Пользователь будет не более чем в одном из вошедших в неё.`
    ),
    wasCreated: say(
      (slug: string) => `${slug} was created`,
      (slug: string) => `Создана ${slug}`
    ),
    emptyTitle: say('No groups yet', 'Групп пока нет'),
    emptyHint: say(
      'A user is in at most one segment of a group: use one for an experiment.',
      'Пользователь состоит не более чем в одном сегменте группы: так устроен эксперимент.'
    ),
    unknown: say('There is no such group', 'Такой группы нет'),
    unknownHint: say('Its slug may be misspelt.', 'Возможно, в имени ошибка.'),
    toList: say('To the groups', 'К группам'),
    parts: say('Parts of the group', 'Разделы группы'),
    tabs: {
      allocation: say('Allocation', 'Распределение'),
      overlap: say('Overlap', 'Пересечения')
    },
    users: say('Known users', 'Известные пользователи'),
    members: say('In a segment', 'В сегментах'),
    free: say('Free', 'Свободны'),
    reserved: say('Reserved for filling', 'Отложены для заполнения'),
    createdBy: say('Created by', 'Создал'),
    segment: say('Segment', 'Сегмент'),
    usersOf: say('Users', 'Пользователи'),
    part: say('Of all', 'От всех'),
    asked: say('Share asked', 'Заданная доля'),
    holdout: say('holdout', 'контрольный'),
    bar: say(
      (parts: string) => `Allocation of all users: ${parts}. The table has the same.`,
      (parts: string) => `Распределение всех пользователей: ${parts}. То же в таблице.`
    ),
    noSegments: say('No segments in this group', 'В группе нет сегментов'),
    noSegmentsHint: say(
      'Start an experiment, or let a segment enter by “Edit” on its page.',
      'Начните эксперимент или введите сегмент в группу кнопкой «Изменить» на его странице.'
    ),
    enterHint: say(
      'A segment enters or leaves the group by “Edit” on its page.',
      'Сегмент входит в группу и выходит из неё кнопкой «Изменить» на его странице.'
    ),
    compare: say('Segments to compare', 'Сравнить сегменты'),
    compareHint: say(
      'Up to 50 slugs, separated by commas, of this group or not. Empty: those of the group.',
      'До 50 имён через запятую, из группы или нет. Пусто: сегменты группы.'
    ),
    compareAction: say('Compare', 'Сравнить'),
    compareWrong: say('These cannot be slugs.', 'Так имена выглядеть не могут.'),
    overlapTable: say('Users in both segments', 'Пользователи в обоих сегментах'),
    other: say('And', 'И'),
    both: say('In both', 'В обоих'),
    ofFirst: say('Of the first', 'От первого'),
    ofSecond: say('Of the second', 'От второго'),
    exclusive: say('Nobody is in two of these segments.', 'Ни один пользователь не состоит в двух из них.'),
    shared: say(
      (pairs: string) => `Segments share users: ${pairs}.`,
      (pairs: string) => `Есть общие пользователи: ${pairs}.`
    ),
    pairs: sayCount(['pair', 'pairs'], ['пара', 'пары', 'пар']),
    tooFew: say('Two segments are needed to compare', 'Для сравнения нужны два сегмента'),
    asOf: say('As of', 'На момент'),
    delete: say('Delete group', 'Удалить группу'),
    deleteTitle: say(
      (slug: string) => `Delete ${slug}?`,
      (slug: string) => `Удалить ${slug}?`
    ),
    deleteEffect: say(
      (segments: string) =>
        `${segments} will stay as they are, outside of any group: users may then be in several of them, and holdouts become ordinary. The slug can never be used again.`,
      (segments: string) =>
        `Останутся без группы: ${segments}. Пользователи смогут быть в нескольких из них, контрольные станут обычными. Использовать имя снова будет нельзя.`
    ),
    wasDeleted: say(
      (slug: string) => `${slug} was deleted`,
      (slug: string) => `Удалена ${slug}`
    ),
    deletedAt: say('Deleted', 'Удалена')
  },
  experiment: {
    start: say('Start an experiment', 'Начать эксперимент'),
    name: say('Name of the experiment', 'Имя эксперимента'),
    nameHint: say(
      (group: string) =>
        `Its segments begin with it. They are in the group ${group}, where a user is in at most one.`,
      (group: string) =>
        `С него начинаются имена сегментов группы ${group}, где пользователь не более чем в одном.`
    ),
    newGroup: say('of the same name', 'с тем же именем'),
    parts: {
      treatment: say('Treatment, in per cent', 'Воздействие, в процентах'),
      control: say('Control, in per cent', 'Контроль, в процентах'),
      holdout: say('Holdout, in per cent', 'Отложенная часть, в процентах')
    },
    withHoldout: say('With a holdout', 'С отложенной частью'),
    withHoldoutHint: say(
      'Users who are kept out of this and later experiments: nobody is added by name.',
      'Пользователи вне этого и следующих экспериментов: поимённо никого не добавляют.'
    ),
    enroll: say('New users take part with the same shares', 'Новые пользователи участвуют с теми же долями'),
    preview: say('What will be created', 'Что будет создано'),
    share: say('Share', 'Доля'),
    users: say('Users', 'Пользователи'),
    freeAfter: say(
      (before: string, after: string) => `Free users: ${before} now, ${after} after.`,
      (before: string, after: string) => `Свободных пользователей: сейчас ${before}, потом ${after}.`
    ),
    tooMany: say(
      (needed: string, free: string) => `${needed} are needed, but only ${free} are free.`,
      (needed: string, free: string) => `Нужно: ${needed}, свободно: ${free}.`
    ),
    enrollsTooMany: say(
      'The shares of all segments of the group that take new users are more than 100% together.',
      'Доли сегментов группы, принимающих новых пользователей, вместе больше 100 %.'
    ),
    random: say('Users are chosen at random.', 'Пользователи выбираются случайно.'),
    createdSoFar: say(
      (slugs: string) => `Created so far: ${slugs}. Starting again creates the rest.`,
      (slugs: string) => `Уже создано: ${slugs}. Повтор создаст остальное.`
    ),
    started: say(
      (name: string) => `${name} has started`,
      (name: string) => `Эксперимент ${name} начат`
    )
  },
  moments: {
    now: say('Now', 'Сейчас'),
    yesterday: say('Yesterday', 'Вчера'),
    exactly: say('Exactly', 'Точно')
  },
  causes: {
    request: say('added by name', 'поимённое добавление'),
    import: say('uploaded', 'загрузка списком'),
    selection: say('sampled for the share', 'выборка доли'),
    enrollment: say('sampled when first seen', 'выборка нового пользователя'),
    expiry: say('expired', 'срок истёк'),
    segment_deleted: say('the segment was deleted', 'сегмент удалён'),
    selection_lowered: say('the share was lowered', 'доля уменьшена')
  },
  /** The causes of a removal that read otherwise than those of an addition. */
  removals: {
    request: say('removed by name', 'поимённое удаление'),
    import: say('removed by an upload', 'удаление списком')
  },
  segment: {
    parts: say('Parts of the segment', 'Разделы сегмента'),
    tabs: {
      history: say('History', 'История'),
      members: say('Members', 'Участники'),
      share: say('Share', 'Доля')
    },
    edit: say('Edit', 'Изменить'),
    delete: say('Delete segment', 'Удалить сегмент'),
    queued: say('It is going to be filled.', 'Сегмент ждёт заполнения.'),
    filling: say(
      (assigned: number, target: number) =>
        `Being filled: ${formatCount(assigned)} of ${formatCount(target)}`,
      (assigned: number, target: number) => `Заполняется: ${formatCount(assigned)} из ${formatCount(target)}`
    ),
    newUsers: say('New users', 'Новые пользователи'),
    areSampled: say('are sampled too', 'тоже попадают в выборку'),
    stayOut: say('stay out', 'не попадают'),
    holdout: say('Holdout', 'Контрольный'),
    holdoutHint: say('Nobody is added by name.', 'Поимённо никого не добавляют.'),
    deletedAt: say('Deleted', 'Удалён'),
    unknown: say('There is no such segment', 'Такого сегмента нет'),
    unknownHint: say('Its slug may be misspelt.', 'Возможно, в имени ошибка.'),
    searchFor: say(
      (slug: string) => `Search for ${slug}`,
      (slug: string) => `Искать ${slug}`
    ),
    sizeOverTime: say('Size over time', 'Размер во времени'),
    range: say('Interval', 'Интервал'),
    ranges: {
      week: say('7 days', '7 дней'),
      month: say('30 days', '30 дней'),
      quarter: say('90 days', '90 дней'),
      year: say('1 year', '1 год')
    },
    zoomOut: say('Zoom out', 'Отдалить'),
    plotLabel: say(
      (slug: string, from: string, to: string, members: string) =>
        `Size of ${slug} from ${from} to ${to}; now ${members}. The arrow keys read values.`,
      (slug: string, from: string, to: string, members: string) =>
        `Размер ${slug} с ${from} по ${to}; сейчас ${members}. Стрелки читают значения.`
    ),
    asTable: say('As a table', 'Таблицей'),
    moment: say('Time', 'Время'),
    when: say('When', 'Когда'),
    what: say('What', 'Что'),
    changes: say('Changes', 'Изменения'),
    who: say('Who', 'Кто'),
    operations: {
      created: say('created', 'создан'),
      changed: say('changed', 'изменён'),
      filled: say('filled', 'заполнен'),
      replaced: say('members replaced', 'состав заменён'),
      deleted: say('deleted', 'удалён')
    },
    composition: {
      inAll: say(
        (slugs: string) => `all of ${slugs}`,
        (slugs: string) => `во всех из ${slugs}`
      ),
      inAny: say(
        (slugs: string) => `any of ${slugs}`,
        (slugs: string) => `хотя бы в одном из ${slugs}`
      ),
      inNone: say(
        (slugs: string) => `none of ${slugs}`,
        (slugs: string) => `ни в одном из ${slugs}`
      )
    },
    properties: {
      selection: say('share', 'доля'),
      from: say('users of', 'пользователи'),
      description: say('description', 'описание'),
      enroll_new_users: say('new users sampled', 'выборка новых пользователей'),
      group: say('group', 'группа'),
      holdout: say('holdout', 'контрольный')
    },
    editTitle: say(
      (slug: string) => `Edit ${slug}`,
      (slug: string) => `Изменение ${slug}`
    ),
    saved: say('Saved', 'Сохранено'),
    deleteTitle: say(
      (slug: string) => `Delete ${slug}?`,
      (slug: string) => `Удалить ${slug}?`
    ),
    deleteEffect: say(
      (users: string) => `${users} will leave it now. Its history stays; its slug can never be used again.`,
      (users: string) => `Сегмент покинут: ${users}. История останется; использовать имя снова будет нельзя.`
    ),
    wasDeleted: say(
      (slug: string) => `${slug} was deleted`,
      (slug: string) => `Удалён ${slug}`
    )
  },
  members: {
    user: say('User', 'Пользователь'),
    since: say('Since', 'С'),
    until: say('Until', 'До'),
    search: say('Find a user by id', 'Найти пользователя по номеру'),
    notAnId: say('A user id is a whole number from 1.', 'Номер пользователя — целое число от 1.'),
    at: say('Members at a moment', 'Участники на момент'),
    none: say('No members', 'Участников нет'),
    noneHint: say(
      'Give it a share of the users, upload a list, or add users on their pages.',
      'Задайте долю, загрузите список или добавьте пользователей на их страницах.'
    ),
    noneThen: say('Nobody was in it at that moment.', 'В этот момент в сегменте никого не было.'),
    toUser: say(
      (id: string) => `To user ${id}`,
      (id: string) => `К пользователю ${id}`
    ),
    is: say(
      (id: string, slug: string, since: string, cause: string, actor: string) =>
        `User ${id} is in ${slug} since ${since}: ${cause} (${actor}).`,
      (id: string, slug: string, since: string, cause: string, actor: string) =>
        `Пользователь ${id} в ${slug} с ${since}: ${cause} (${actor}).`
    ),
    isNot: say(
      (id: string, slug: string) => `User ${id} is not in ${slug}.`,
      (id: string, slug: string) => `Пользователя ${id} нет в ${slug}.`
    )
  },
  share: {
    intro: say(
      'Members of the share are chosen at random. Those added by name or by an upload stay.',
      'Участники доли выбираются случайно. Добавленные поимённо и списком остаются.'
    ),
    slider: say('Share', 'Доля'),
    target: say(
      (share: string, users: string, target: string) => `${share} of ${users} users are ${target}.`,
      (share: string, users: string, target: string) =>
        `${share} от числа пользователей ${users} — это ${target}.`
    ),
    same: say('Nobody joins or leaves.', 'Состав не изменится.'),
    join: say(
      (users: string) => `About ${users} will join.`,
      (users: string) => `Войдут примерно ${users}.`
    ),
    leave: say(
      (users: string) => `About ${users} will leave.`,
      (users: string) => `Выйдут примерно ${users}.`
    ),
    free: say(
      (users: string) => `Free users in the group: ${users}.`,
      (users: string) => `Свободных пользователей в группе: ${users}.`
    ),
    change: say('Change the share', 'Изменить долю'),
    confirm: say(
      (slug: string) => `Change the share of ${slug}?`,
      (slug: string) => `Изменить долю ${slug}?`
    ),
    waits: say(
      'The share can be changed when the segment has been filled.',
      'Долю можно менять, когда сегмент заполнен.'
    ),
    willEnroll: say('New users will be sampled too.', 'Новые пользователи тоже будут попадать в выборку.'),
    wontEnroll: say('New users will stay out.', 'Новые пользователи попадать не будут.'),
    done: say(
      (added: string, removed: string) => `${added} joined, ${removed} left`,
      (added: string, removed: string) => `Вошли: ${added}, вышли: ${removed}`
    )
  },
  user: {
    title: say(
      (id: string) => `User ${id}`,
      (id: string) => `Пользователь ${id}`
    ),
    stateAt: say('Segments at a moment', 'Сегменты на момент'),
    now: say(
      (count: string) => `In ${count} now`,
      (count: string) => `Сейчас: ${count}`
    ),
    atMoment: say(
      (count: string, time: string) => `In ${count} on ${time}`,
      (count: string, time: string) => `${time}: ${count}`
    ),
    none: say('In no segment', 'Ни в одном сегменте'),
    noneHint: say(
      'Choose another moment, or look at the timeline.',
      'Выберите другой момент или посмотрите на шкалу.'
    ),
    why: say('Why', 'Почему'),
    by: say(
      (cause: string, actor: string | null) => (actor === null ? cause : `${cause}, by ${actor}`),
      (cause: string, actor: string | null) => (actor === null ? cause : `${cause}, ${actor}`)
    ),
    timeline: say('Timeline', 'Шкала времени'),
    allTime: say('All', 'Всё'),
    timelineHint: say(
      'Press on it to see the state at that moment.',
      'Нажмите, чтобы увидеть состояние на тот момент.'
    ),
    history: say('History', 'История'),
    noHistory: say('Nothing has happened to this user', 'С пользователем ничего не происходило'),
    operations: {
      add: say('joined', 'вошёл'),
      delete: say('left', 'вышел'),
      expiry_set: say('end set', 'срок изменён')
    },
    period: say(
      (from: string, to: string, cause: string) => `from ${from} to ${to}: ${cause}`,
      (from: string, to: string, cause: string) => `с ${from} по ${to}: ${cause}`
    ),
    unknown: say('The service has never seen this user', 'Сервис не знает этого пользователя'),
    unknownHint: say(
      'A user is known from the first change or upload on.',
      'Пользователь становится известен с первого изменения или загрузки.'
    ),
    truncated: say(
      (count: string) => `Only the last ${count} entries are shown.`,
      (count: string) => `Показаны только последние записи: ${count}.`
    ),
    add: say('Add to a segment', 'Добавить в сегмент'),
    addTitle: say(
      (id: string) => `Add user ${id} to a segment`,
      (id: string) => `Добавить пользователя ${id}`
    ),
    segment: say('Segment', 'Сегмент'),
    expires: say('Until', 'До'),
    expiresHint: say('Empty: without an end.', 'Пусто: бессрочно.'),
    move: say('Leave other segments of its group', 'Выйти из других сегментов группы'),
    addEffect: say(
      (id: string, slug: string, until: string) => `User ${id} will be in ${slug}, until: ${until}.`,
      (id: string, slug: string, until: string) => `Пользователь ${id} войдёт в ${slug}, до: ${until}.`
    ),
    remove: say('Remove', 'Убрать'),
    removeFrom: say(
      (slug: string) => `Remove from ${slug}`,
      (slug: string) => `Убрать из ${slug}`
    ),
    removeTitle: say(
      (id: string, slug: string) => `Remove user ${id} from ${slug}?`,
      (id: string, slug: string) => `Убрать пользователя ${id} из ${slug}?`
    ),
    removeEffect: say(
      'The membership ends now. It stays in the history, and the user is not sampled for this segment again.',
      'Участие закончится сейчас. Оно останется в истории; в выборку этого сегмента пользователь больше не попадёт.'
    ),
    changed: say('Changed', 'Изменено'),
    erase: say('Erase user', 'Стереть пользователя'),
    eraseTitle: say(
      (id: string) => `Erase user ${id}?`,
      (id: string) => `Стереть пользователя ${id}?`
    ),
    eraseEffect: say(
      'Every record of this user is removed, the history and report files too. It cannot be undone.',
      'Все записи о пользователе будут удалены, в том числе история и файлы отчётов. Отменить это нельзя.'
    ),
    erased: say(
      (id: string) => `User ${id} was erased`,
      (id: string) => `Пользователь ${id} стёрт`
    )
  },
  reports: {
    title: say('Reports', 'Отчёты'),
    intro: say(
      'CSV files of what happened to users: who joined and left which segment, and when.',
      'CSV-файлы о том, что происходило с пользователями: кто, когда и в какой сегмент вошёл или вышел.'
    ),
    order: say('Order a report', 'Заказать отчёт'),
    orderAction: say('Order', 'Заказать'),
    ordered: say('The report was ordered', 'Отчёт заказан'),
    about: say('About', 'О ком'),
    allUsers: say('All users', 'Все пользователи'),
    oneSegment: say('One segment', 'Один сегмент'),
    oneUser: say('One user', 'Один пользователь'),
    ofSegment: say(
      (slug: string) => `Segment ${slug}`,
      (slug: string) => `Сегмент ${slug}`
    ),
    ofUser: say(
      (id: string) => `User ${id}`,
      (id: string) => `Пользователь ${id}`
    ),
    interval: say('Time', 'Время'),
    days: say('Certain days', 'Отдельные дни'),
    firstDay: say('First day', 'Первый день'),
    lastDay: say('Last day, included', 'Последний день, включительно'),
    daysWrong: say(
      'From the first day on, and today at the latest.',
      'Не раньше первого дня и не позже сегодняшнего.'
    ),
    details: say('With details', 'С подробностями'),
    detailsHint: say(
      'Three more columns: why, by which key, and until when.',
      'Ещё три столбца: почему, каким ключом и до какого времени.'
    ),
    effect: say(
      (subject: string, interval: string) =>
        `The report will be made in the background. ${subject}: ${interval}, whole days in UTC.`,
      (subject: string, interval: string) =>
        `Отчёт будет подготовлен в фоне. ${subject}: ${interval}, целые дни по UTC.`
    ),
    toNow: say(
      'Of today, it has what happened until it is made.',
      'За сегодня в нём будет то, что произошло до его подготовки.'
    ),
    opened: say('Opened report', 'Открытый отчёт'),
    ofTab: say('Ordered in this tab', 'Заказанные в этой вкладке'),
    ofTabHint: say(
      'The list has only what was ordered in this tab of the browser, and is lost with it. Any other report is opened by its link.',
      'В списке только то, что заказано в этой вкладке браузера; с ней он исчезает. Любой другой отчёт можно открыть по ссылке.'
    ),
    empty: say('Nothing was ordered here yet', 'Здесь пока ничего не заказано'),
    emptyHint: say(
      'A report is ordered, made in the background, and then downloaded.',
      'Отчёт заказывают, он готовится в фоне, потом его можно скачать.'
    ),
    open: say('Open another report', 'Открыть другой отчёт'),
    openHint: say(
      'Its link, the address of its page, or the name of its file.',
      'Ссылка на отчёт, адрес его страницы или имя файла.'
    ),
    openAction: say('Open', 'Открыть'),
    notAReport: say('This names no report.', 'Такого имени у отчёта быть не может.'),
    statuses: {
      queued: say('waiting', 'в очереди'),
      running: say('being made', 'готовится'),
      ready: say('ready', 'готов'),
      failed: say('failed', 'не удался')
    },
    queuedHint: say(
      'It waits for its turn. The keys take turns; the page follows it.',
      'Отчёт ждёт очереди, ключи чередуются. Страница обновляется сама.'
    ),
    rowsSoFar: say(
      (rows: number) => `${formatCount(rows)} rows so far`,
      (rows: number) => `Готово строк: ${formatCount(rows)}`
    ),
    attemptFailed: say(
      (error: string) => `An attempt has failed: ${error}. Up to five are made.`,
      (error: string) => `Попытка не удалась: ${error}. Всего их может быть пять.`
    ),
    failed: say(
      (error: string) => `It could not be made in five attempts: ${error}.`,
      (error: string) => `Подготовить отчёт не удалось за пять попыток: ${error}.`
    ),
    rows: say('Rows', 'Строк'),
    size: say('Size', 'Размер'),
    orderedAt: say('Ordered', 'Заказан'),
    finishedAt: say('Made', 'Подготовлен'),
    download: say('Download', 'Скачать'),
    cancel: say('Cancel the order', 'Отменить заказ'),
    cancelTitle: say('Cancel the order?', 'Отменить заказ?'),
    cancelEffect: say(
      'The report will not be made. Its link leads nowhere then.',
      'Отчёт готовиться не будет. Ссылка на него перестанет работать.'
    ),
    remove: say('Remove the report', 'Удалить отчёт'),
    removeTitle: say('Remove the report?', 'Удалить отчёт?'),
    removeEffect: say(
      'The finished file is removed, and its links stop working. It can be ordered again.',
      'Готовый файл будет удалён, ссылки на него перестанут работать. Отчёт можно заказать снова.'
    ),
    shared: say(
      'If other keys have ordered the same report, it stays for them.',
      'Если тот же отчёт заказан и другими ключами, для них он останется.'
    ),
    notOrdered: say(
      'Your key has not ordered this report: there is nothing to cancel.',
      'Ваш ключ не заказывал этот отчёт: отменять нечего.'
    ),
    cancelled: say('The order was cancelled', 'Заказ отменён'),
    orderAgain: say('Order it again', 'Заказать снова'),
    forget: say('Remove from the list', 'Убрать из списка'),
    expired: say('The report has expired.', 'Срок хранения отчёта истёк.'),
    notFound: say(
      'There is no such report: it was never ordered, was cancelled, or was removed because a user in it was erased.',
      'Такого отчёта нет: его не заказывали, заказ отменили или он удалён вместе с данными стёртого пользователя.'
    ),
    isReady: say(
      (report: string) => `Ready: ${report}`,
      (report: string) => `Готов отчёт: ${report}`
    ),
    hasFailed: say(
      (report: string) => `Failed: ${report}`,
      (report: string) => `Не удался отчёт: ${report}`
    )
  },
  changes: {
    title: say('Changes', 'Изменения'),
    intro: say(
      'What happens to segments and their members, as it happens.',
      'Что происходит с сегментами и их участниками — сразу, как произошло.'
    ),
    user: say('User', 'Пользователь'),
    filter: say('Filter', 'Отобрать'),
    clear: say('Show all', 'Показать все'),
    segmentNote: say(
      'Changes of the segment and its memberships, and erasures of users.',
      'Изменения сегмента и его участников, а также стирания пользователей.'
    ),
    userNote: say(
      'Changes of the user, and deletions of segments.',
      'Изменения пользователя, а также удаления сегментов.'
    ),
    since: say('From when on', 'С какого времени'),
    starts: {
      now: say('From now on', 'С этого момента'),
      day: say('Since yesterday', 'Со вчерашнего дня'),
      week: say('7 days', '7 дней'),
      start: say('All that are kept', 'Все, что хранятся')
    },
    pause: say('Pause', 'Пауза'),
    resume: say('Resume', 'Продолжить'),
    live: say('live', 'в реальном времени'),
    paused: say('paused', 'пауза'),
    behind: say('catching up', 'навёрстывается'),
    away: say('no answer', 'нет ответа'),
    asOf: say(
      (time: string) => `Up to date as of ${time}.`,
      (time: string) => `Актуально на ${time}.`
    ),
    pausedHint: say(
      'The list stays as it is. What happens meanwhile waits.',
      'Список не меняется. Новое подождёт.'
    ),
    reached: say(
      (time: string, behind: string) => `Read up to ${time}: ${behind} behind.`,
      (time: string, behind: string) => `Прочитано до ${time}, отставание: ${behind}.`
    ),
    skip: say('Skip to now', 'Перейти к текущему'),
    awayHint: say(
      (time: string) =>
        `The last answer came at ${time}. When the service is back, the list goes on from there: nothing is missed.`,
      (time: string) =>
        `Последний ответ был в ${time}. Когда сервис вернётся, список продолжится с этого места без пропусков.`
    ),
    isBack: say('The service is back. Nothing was missed.', 'Сервис снова отвечает. Ничего не пропущено.'),
    gap: say(
      (from: string, to: string) => `What happened between ${from} and ${to} is missing here.`,
      (from: string, to: string) => `Того, что произошло между ${from} и ${to}, здесь нет.`
    ),
    gapHint: say(
      'The histories of segments and users have it.',
      'Оно есть в истории сегментов и пользователей.'
    ),
    newer: say(
      (count: number) => `${formatCount(count)} new: show`,
      (count: number) => `Новых: ${formatCount(count)}. Показать`
    ),
    bounded: say(
      (count: number) => `Only the last ${formatCount(count)} are shown.`,
      (count: number) => `Показаны только последние ${formatCount(count)}.`
    ),
    types: {
      membership_added: say('joined', 'вошёл'),
      membership_removed: say('left', 'вышел'),
      expiry_set: say('end set', 'срок изменён'),
      segment_created: say('segment created', 'сегмент создан'),
      segment_changed: say('segment changed', 'сегмент изменён'),
      segment_deleted: say('segment deleted', 'сегмент удалён'),
      user_erased: say('user erased', 'пользователь стёрт')
    },
    until: say(
      (time: string) => `until ${time}`,
      (time: string) => `до ${time}`
    ),
    empty: say('Waiting for changes', 'Изменений пока нет'),
    emptyHint: say(
      'They appear here as they happen. To see what has happened, choose an earlier start, or the history of a segment or a user.',
      'Они появятся, как только произойдут. Прошлое видно, если выбрать более раннее начало, и в истории сегмента или пользователя.'
    ),
    unknownSegment: say('There has never been such a segment', 'Такого сегмента никогда не было')
  },
  createSegment: {
    title: say('New segment', 'Новый сегмент'),
    slug: say('Slug', 'Имя'),
    slugHint: say(
      'Letters, digits, “_”, “-” and “.”. It is stored in capitals, and can never be used again.',
      'Буквы, цифры, «_», «-» и «.». Хранится заглавными; использовать повторно нельзя.'
    ),
    slugWrong: say('This cannot be a slug.', 'Так имя выглядеть не может.'),
    description: say('Description', 'Описание'),
    sampled: say('Add a share of all users', 'Добавить долю всех пользователей'),
    share: say('Share, in per cent', 'Доля, в процентах'),
    shareWrong: say('A number from 0 to 100.', 'Число от 0 до 100.'),
    enroll: say(
      'New users join with the same probability',
      'Новые пользователи попадают с той же вероятностью'
    ),
    group: say('Exclusive group', 'Взаимоисключающая группа'),
    groupHint: say(
      'A user is in at most one segment of a group.',
      'Пользователь состоит не более чем в одном сегменте группы.'
    ),
    noGroup: say('No group', 'Без группы'),
    effect: say(
      (slug: string, users: string) => `${slug} will be created with ${users}, chosen at random.`,
      (slug: string, users: string) => `Будет создан ${slug}, случайно выбранных участников: ${users}.`
    ),
    effectEmpty: say(
      (slug: string) => `${slug} will be created without members.`,
      (slug: string) => `Будет создан ${slug} без участников.`
    ),
    create: say('Create segment', 'Создать сегмент'),
    created: say(
      (slug: string) => `${slug} was created`,
      (slug: string) => `Создан ${slug}`
    )
  },
  system: {
    title: say('System', 'Система'),
    verdict: say('Verdict', 'Заключение'),
    verdicts: {
      unknown: say('Checking…', 'Проверка…'),
      good: say('All is well', 'Всё в порядке'),
      warn: say('It works, but needs attention', 'Работает, но требует внимания'),
      bad: say('Something is wrong', 'Есть неисправность')
    },
    away: say('The service does not answer', 'Сервис не отвечает'),
    refusing: say('The service cannot answer requests', 'Сервис не может обслуживать запросы'),
    back: say('The service answers again', 'Сервис снова отвечает'),
    since: say(
      (time: string) => `Since ${time}.`,
      (time: string) => `С ${time}.`
    ),
    tryingAgain: say('Trying again every two seconds.', 'Проверка каждые две секунды.'),
    outdated: say('What is shown below is older.', 'Данные ниже устарели.'),
    wasAway: say(
      (time: string, length: string) => `It did not answer from ${time} on, for ${length}.`,
      (time: string, length: string) => `Не отвечал с ${time}, продолжительность: ${length}.`
    ),
    reasons: {
      migrations: say(
        (names: string) => `Migrations are missing: ${names}. Run npm run migrate.`,
        (names: string) => `Не хватает миграций: ${names}. Выполните npm run migrate.`
      ),
      webhooksPaused: say(
        (count: string) => `Webhooks that the service has paused: ${count}. Nothing is delivered to them.`,
        (count: string) => `Вебхуков остановлено сервисом: ${count}. Им ничего не доставляется.`
      ),
      webhooksBehind: say(
        (length: string) => `A webhook is behind by ${length}.`,
        (length: string) => `Отставание вебхука: ${length}.`
      ),
      fillings: {
        failed: say(
          (count: string) => `Segments that could not be filled: ${count}.`,
          (count: string) => `Не удалось заполнить сегментов: ${count}.`
        ),
        late: say(
          (length: string) => `A segment has waited for its filling for ${length}.`,
          (length: string) => `Сегмент ждёт заполнения: ${length}.`
        )
      },
      reports: {
        failed: say(
          (count: string) => `Reports that could not be made: ${count}.`,
          (count: string) => `Не удалось сделать отчётов: ${count}.`
        ),
        late: say(
          (length: string) => `A report has waited for ${length}.`,
          (length: string) => `Отчёт ждёт очереди: ${length}.`
        )
      },
      readServers: say(
        (names: string) => `Read servers that are left out: ${names}.`,
        (names: string) => `Серверы чтения, которые не используются: ${names}.`
      ),
      shuttingDown: say(
        (host: string) => `The instance on ${host} is shutting down.`,
        (host: string) => `Экземпляр на ${host} завершает работу.`
      )
    },
    inProgress: say('In progress', 'В работе'),
    work: say('Work', 'Работа'),
    fillings: say('Fillings', 'Заполнения'),
    reports: say('Reports', 'Отчёты'),
    imports: say('Uploads', 'Загрузки'),
    queued: say('Waiting', 'Ждут'),
    running: say('Running', 'Идут'),
    failed: say('Failed', 'Не удались'),
    oldest: say('Longest wait', 'Дольше всех ждёт'),
    instances: say('Instances', 'Экземпляры'),
    instance: say('Instance', 'Экземпляр'),
    instancesUnknown: say(
      'Other instances are not known: DATABASE_URL or PGAPPNAME names the connections to the database.',
      'Другие экземпляры неизвестны: имя соединений с базой задано в DATABASE_URL или PGAPPNAME.'
    ),
    answered: say('answered', 'ответил'),
    answeredBy: say('Answered by', 'Ответил'),
    connections: say('Connections', 'Соединения'),
    version: say('Version', 'Версия'),
    node: say('Node.js', 'Node.js'),
    startedAt: say('Started', 'Запущен'),
    database: say('Database', 'База данных'),
    size: say('Size', 'Размер'),
    schema: say('Schema', 'Схема'),
    segments: say('Segments', 'Сегменты'),
    groups: say('Groups', 'Группы'),
    oldestChange: say('Changes kept since', 'Изменения хранятся с'),
    newestChange: say('Last change', 'Последнее изменение'),
    readServers: say('Read servers', 'Серверы чтения'),
    readServer: say('Read server', 'Сервер чтения'),
    state: say('State', 'Состояние'),
    serving: say('used', 'используется'),
    leftOut: say('left out', 'не используется'),
    allWebhooks: say('All webhooks', 'Все вебхуки'),
    active: say('Active', 'Активны'),
    pausedByRequest: say('Paused by request', 'Остановлены по запросу'),
    pausedByService: say('Paused by the service', 'Остановлены сервисом'),
    largestLag: say('Largest lag', 'Наибольшее отставание')
  },
  webhooks: {
    title: say('Webhooks', 'Вебхуки'),
    titleOf: say(
      (id: string) => `Webhook ${id}`,
      (id: string) => `Вебхук ${id}`
    ),
    intro: say('Addresses to which changes are delivered.', 'Адреса, на которые доставляются изменения.'),
    adminOnly: say('This needs the role admin', 'Нужна роль администратора'),
    adminOnlyHint: say(
      'URLs of webhooks may contain secrets, so only administrators see them.',
      'В адресах вебхуков могут быть секреты, поэтому их видят только администраторы.'
    ),
    emptyTitle: say('No webhooks yet', 'Вебхуков пока нет'),
    emptyHint: say(
      'A webhook receives each change of a segment or a membership, in order.',
      'Вебхук получает каждое изменение сегмента или участия, по порядку.'
    ),
    unknown: say('There is no such webhook', 'Такого вебхука нет'),
    unknownHint: say('It may have been deleted.', 'Возможно, он удалён.'),
    toList: say('To the webhooks', 'К вебхукам'),
    create: say('New webhook', 'Новый вебхук'),
    doCreate: say('Create webhook', 'Создать вебхук'),
    created: say('The webhook was created', 'Вебхук создан'),
    url: say('URL', 'Адрес'),
    urlHint: say(
      'Where changes are sent by POST. Use https.',
      'Куда отправлять изменения запросом POST. Используйте https.'
    ),
    urlWrong: say(
      'An http or https URL, without a user name or a password.',
      'Адрес http или https, без имени пользователя и пароля.'
    ),
    segments: say('Segments', 'Сегменты'),
    segmentsHint: say(
      'Slugs, separated by commas. Empty: all segments.',
      'Имена через запятую. Пусто: все сегменты.'
    ),
    allSegments: say('all segments', 'все сегменты'),
    ownSecret: say('Own secret', 'Свой секрет'),
    ownSecretHint: say(
      'whsec_ and 24 to 64 random bytes in base64. Empty: the service makes one.',
      'whsec_ и от 24 до 64 случайных байт в base64. Пусто: секрет создаст сервис.'
    ),
    secretWrong: say('This cannot be a secret of a webhook.', 'Так секрет вебхука выглядеть не может.'),
    createEffect: say(
      (host: string, segments: string) =>
        `Every change from now on goes to ${host}, user ids included. Segments: ${segments}.`,
      (host: string, segments: string) =>
        `Все изменения с этого момента будут приходить на ${host} вместе с номерами пользователей. Сегменты: ${segments}.`
    ),
    secret: say('Secret of the deliveries', 'Секрет доставок'),
    secretOnce: say(
      'Store it now: the service does not show it again. The receiver verifies the signatures with it.',
      'Сохраните его сейчас: сервис больше его не покажет. Им получатель проверяет подписи.'
    ),
    secretStored: say('I have stored it', 'Сохранено'),
    state: say('State', 'Состояние'),
    states: {
      active: say('active', 'активен'),
      retrying: say('failing, is retried', 'ошибки, повторяется'),
      requested: say('paused', 'остановлен'),
      failing: say('paused: failing', 'остановлен: ошибки'),
      gone: say('paused: gone', 'остановлен: отказ получателя'),
      cursor_expired: say('paused: too far behind', 'остановлен: отстал')
    },
    reasons: {
      failing: say(
        'Every delivery of three days has failed, so the service has paused it. Resume it when the receiver works again.',
        'Три дня ни одна доставка не удавалась, и сервис остановил вебхук. Возобновите, когда получатель заработает.'
      ),
      gone: say(
        'The receiver has answered 410: it wants no more deliveries.',
        'Получатель ответил 410: доставки ему больше не нужны.'
      ),
      cursor_expired: say(
        'The changes that it has not received are no longer kept. Resume it from now on, and let the receiver read the members again.',
        'Недоставленные изменения уже не хранятся. Возобновите с текущего момента, а получатель пусть заново прочитает участников.'
      )
    },
    deliveries: say('Deliveries', 'Доставки'),
    lag: say('Lag', 'Отставание'),
    lastSuccess: say('Last success', 'Последняя удача'),
    lastError: say('Last error', 'Последняя ошибка'),
    errorIsPast: say('Later deliveries have succeeded.', 'Более поздние доставки удались.'),
    failures: say('Failures in a row', 'Ошибок подряд'),
    nextAttempt: say('Next attempt', 'Следующая попытка'),
    pausedAt: say('Paused', 'Остановлен'),
    createdAt: say('Created', 'Создан'),
    createdBy: say('By', 'Кем'),
    place: say('Place in the change feed', 'Место в ленте изменений'),
    placeHint: say('Everything before this cursor has been delivered.', 'Всё до этого курсора доставлено.'),
    pause: say('Pause', 'Остановить'),
    pauseTitle: say(
      (host: string) => `Pause the deliveries to ${host}?`,
      (host: string) => `Остановить доставки на ${host}?`
    ),
    pauseEffect: say(
      'Nothing is delivered until it is resumed; a delivery in flight is finished. Then it continues where it ended, as long as the changes are kept.',
      'Доставок не будет до возобновления; начатая завершится. Затем они продолжатся с того же места, пока изменения хранятся.'
    ),
    paused: say('The webhook is paused', 'Вебхук остановлен'),
    resume: say('Resume', 'Возобновить'),
    resumeTitle: say(
      (host: string) => `Resume the deliveries to ${host}?`,
      (host: string) => `Возобновить доставки на ${host}?`
    ),
    resumed: say('The webhook is active', 'Вебхук активен'),
    continueFrom: say('Continue from…', 'Продолжить с…'),
    continueTitle: say(
      (host: string) => `Where to continue the deliveries to ${host}?`,
      (host: string) => `Откуда продолжить доставки на ${host}?`
    ),
    doContinue: say('Continue', 'Продолжить'),
    continueAfter: say('Continue', 'Продолжить'),
    places: {
      ended: say('where it ended', 'с того же места'),
      now: say('from now on', 'с текущего момента'),
      start: say('from the oldest change that is kept', 'с самого старого хранимого изменения'),
      cursor: say('after a cursor', 'после курсора')
    },
    placeEffects: {
      ended: say(
        'What has not been delivered is delivered next, at once. Nothing is left out.',
        'Недоставленное доставляется сразу. Ничего не пропускается.'
      ),
      now: say(
        'Changes that have not been delivered are left out for good. The receiver must read the members again.',
        'Недоставленные изменения будут пропущены. Получателю нужно заново прочитать участников.'
      ),
      start: say(
        'All changes that are kept are delivered, again those that have been delivered before.',
        'Доставятся все хранимые изменения, в том числе уже доставленные.'
      ),
      cursor: say(
        'Changes after this cursor are delivered. Those between an earlier one and the present place come again; those before a later one are left out.',
        'Доставятся изменения после этого курсора: при более раннем часть придёт повторно, при более позднем часть пропустится.'
      )
    },
    cursor: say('Cursor', 'Курсор'),
    cursorHint: say('As the change feed or a delivery names it.', 'Как в ленте изменений или в доставке.'),
    delete: say('Delete webhook', 'Удалить вебхук'),
    deleteTitle: say(
      (host: string) => `Delete the webhook of ${host}?`,
      (host: string) => `Удалить вебхук ${host}?`
    ),
    deleteEffect: say(
      'Nothing more is delivered, and its secret is deleted. A delivery in flight is the last one.',
      'Доставок больше не будет, секрет удаляется. Начатая доставка станет последней.'
    ),
    wasDeleted: say(
      (host: string) => `The webhook of ${host} was deleted`,
      (host: string) => `Вебхук ${host} удалён`
    )
  }
}

type Words<Table> = {
  readonly [Name in keyof Table]: Table[Name] extends Entry<infer Text> ? Text : Words<Table[Name]>
}

/** The texts in the viewer's language. */
export type Texts = Words<typeof table>

function isEntry(node: object): node is Entry<unknown> {
  return 'en' in node && 'ru' in node
}

function choose(node: object, chosen: Language): unknown {
  if (isEntry(node)) return node[chosen]
  return Object.fromEntries(Object.entries(node).map(([name, child]) => [name, choose(child, chosen)]))
}

function createTexts(chosen: Language): Texts {
  // The table decides the type: a path in it leads to a text of one language.
  return choose(table, chosen) as Texts
}

/** The texts in the viewer's language. When it changes, everything is rendered again. */
export let t: Texts = createTexts(language.value)

// Subscribed before any component, which reads `t` when it is rendered.
language.subscribe(() => {
  t = createTexts(language.value)
})
